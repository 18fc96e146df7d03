import { randomBytes } from 'node:crypto';
import { env } from './env.ts';
import type { Field } from './field.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type CommonFields = {
  instance: Field<string>;
  natsUrl: Field<string>;
  logLevel: Field<LogLevel>;
  drainTimeoutMs: Field<number>;
  otlpEndpoint: Field<string>;
};

/** `gpu-worker` → `GPU_WORKER_`. */
export const prefixOf = (service: string): string => `${service.toUpperCase().replaceAll('-', '_')}_`;

/** What every service reads, to spread into its fields. */
export const commonFields = (service: string): CommonFields => ({
  instance: {
    ...env.string('SPILLWAY_INSTANCE', {
      pattern: /^[A-Za-z0-9_-]{1,64}$/,
      doc: "Name of this process in leases, logs and receipts. Two processes with one name take each other's place.",
    }),
    // A name of one life, as `newInstanceId` of lifecycle makes it: packages of one level do not import each other.
    fallback: { make: () => `${service}-${randomBytes(4).toString('hex')}`, shown: '(new at each start)' },
  },
  natsUrl: env.url('NATS_URL', {
    default: 'nats://127.0.0.1:8010',
    schemes: ['nats', 'tls', 'ws', 'wss'],
    doc: 'NATS servers, with commas between. The mesh is not ready while none answers.',
  }),
  logLevel: env.oneOf('LOG_LEVEL', LOG_LEVELS, {
    default: 'info',
    doc: '`debug` writes several lines a request; above `info` the line of a request is missing.',
  }),
  drainTimeoutMs: env.int(`${prefixOf(service)}DRAIN_TIMEOUT_MS`, {
    default: 10_000,
    min: 0,
    max: 600_000,
    doc: "Longest wait at a stop for what is in flight. Too short abandons requests; above the platform's grace it is killed.",
  }),
  otlpEndpoint: env.url('OTEL_EXPORTER_OTLP_ENDPOINT', {
    default: '',
    schemes: ['http', 'https'],
    doc: 'Where spans go (OTLP over HTTP). Empty: nowhere.',
  }),
});
