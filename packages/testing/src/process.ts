import { Child } from './child.ts';

export type ProcessOptions = {
  name: string;
  /** A `.ts` file: run by this Node. */
  file: string;
  args?: string[];
  /** Laid over the few variables that a program needs; the test's own environment does not leak in. */
  env: Record<string, string>;
  /** Polled until it answers 200. Without it the process counts as ready at once. */
  readyUrl?: string;
  readyTimeoutMs?: number;
  cwd?: string;
};

/** A service as a real process. */
export type ServiceProcess = AsyncDisposable & {
  readonly name: string;
  /** Of the running process; another one after a restart. */
  readonly pid: number;
  readonly running: boolean;
  /** Exit code or signal once it has ended. */
  readonly end: number | string | null;
  readonly exited: Promise<void>;
  lines(): readonly string[];
  tail(count?: number): string;
  /** The lines that are JSON objects: the service's log records. */
  records(): Record<string, unknown>[];
  /** The first log record, past or future, for which `found` says so. */
  record(found: (record: Record<string, unknown>) => boolean, timeoutMs?: number): Promise<Record<string, unknown>>;
  ready(timeoutMs?: number): Promise<void>;
  kill(signal?: NodeJS.Signals): Promise<void>;
  stop(graceMs?: number): Promise<void>;
  /** Starts it again with the same environment, and `env` over it for this life; resolves when ready. Its log begins anew. */
  restart(env?: Record<string, string>): Promise<void>;
};

const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'NODE_COMPILE_CACHE'] as const;

function baseEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** True when the URL answers 200. */
export async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** Starts a service and waits until it is ready. @throws Error with the end of its log if it ends or takes too long. */
export async function startProcess(options: ProcessOptions): Promise<ServiceProcess> {
  const { readyUrl } = options;
  const launch = (env: Record<string, string> = {}): Child =>
    new Child({
      name: options.name,
      file: process.execPath,
      args: [options.file, ...(options.args ?? [])],
      env: { ...baseEnvironment(), ...options.env, ...env },
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
  let child = launch();
  const ready = async (timeoutMs = options.readyTimeoutMs ?? 30_000): Promise<void> => {
    if (readyUrl !== undefined) await child.until(() => answersOk(readyUrl), timeoutMs);
  };
  try {
    await ready();
  } catch (error) {
    await child.stop(1_000);
    throw error;
  }
  return {
    name: options.name,
    get pid() {
      return child.pid;
    },
    get running() {
      return child.running;
    },
    get end() {
      return child.end;
    },
    get exited() {
      return child.exited;
    },
    lines: () => child.lines(),
    tail: (count) => child.tail(count),
    records: () =>
      child
        .lines()
        .map(parseRecord)
        .filter((record) => record !== undefined),
    record: async (found, timeoutMs) => {
      const matches = (line: string): boolean => {
        const record = parseRecord(line);
        return record !== undefined && found(record);
      };
      return parseRecord(await child.line(matches, timeoutMs)) ?? {};
    },
    ready,
    kill: (signal) => child.kill(signal),
    stop: (graceMs) => child.stop(graceMs),
    restart: async (env) => {
      await child.stop();
      child = launch(env);
      await ready();
    },
    [Symbol.asyncDispose]: () => child.stop(),
  };
}
