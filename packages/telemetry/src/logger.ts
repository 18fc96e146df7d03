import { pino } from 'pino';
import { cleanFields } from './log-fields.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Variables are fields, the message is constant: lines of one kind can be counted. An error goes in the field `err`. */
export type LogFunction = {
  (fields: Record<string, unknown>, message: string): void;
  (message: string): void;
};

export type Logger = {
  level: string;
  trace: LogFunction;
  debug: LogFunction;
  info: LogFunction;
  warn: LogFunction;
  error: LogFunction;
  fatal: LogFunction;
  /** A logger that adds these fields to each of its lines. */
  child(fields: Record<string, unknown>): Logger;
  /** Ask before building costly fields. */
  isLevelEnabled(level: string): boolean;
};

export type LoggerOptions = {
  service: string;
  instance: string;
  level: LogLevel;
  /** Where lines go; standard output if not given. */
  destination?: { write(line: string): void };
};

/**
 * JSON lines on standard output, written in the background and flushed when the process exits, also by `process.exit`.
 * Fields pass `cleanFields`: no secret, no tensor, no endless string.
 */
export function createLogger({ service, instance, level, destination }: LoggerOptions): Logger {
  const logger = pino(
    {
      level,
      base: { service, instance, pid: process.pid },
      formatters: { level: (label) => ({ level: label }), log: cleanFields },
      // Errors are already fields when pino's own serializer would see them.
      serializers: { err: (value: unknown) => value },
    },
    destination ?? pino.destination({ fd: 1, sync: false }),
  );
  const child = logger.child;
  // pino runs no formatter over the fields of a child; its children inherit this method.
  logger.child = function cleanChild(this: typeof logger, fields: Record<string, unknown>) {
    return child.call(this, cleanFields(fields));
  } as typeof logger.child;
  return logger as Logger;
}
