import { fileURLToPath } from 'node:url';
import { commonFields } from '@spillway/config/common';
import { defineConfig } from '@spillway/config/define-config';
import { env } from '@spillway/config/env';

const MIB = 1024 * 1024;

/** Where the README with the table of variables stands. */
export const SERVICE_DIR = fileURLToPath(new URL('..', import.meta.url));

/** Everything the batcher reads from its environment. What belongs to a model stands in its `model.yaml`. */
export const batcherConfig = defineConfig({
  service: 'batcher',
  prefix: 'BATCHER_',
  fields: {
    ...commonFields('batcher'),
    host: env.string('BATCHER_HOST', {
      default: '127.0.0.1',
      pattern: /^[A-Za-z0-9.:_-]+$/,
      doc: 'Address to listen on.',
    }),
    advertiseHost: env.string('BATCHER_ADVERTISE_HOST', {
      default: '',
      pattern: /^[A-Za-z0-9._-]*$/,
      doc: 'Address that workers dial, as written into the lease. Empty: the one that is listened on, which must not be 0.0.0.0 then.',
    }),
    grpcPort: env.port('BATCHER_GRPC_PORT', {
      default: 8040,
      doc: 'gRPC: `Dispatch.Work` and health. 0 takes a free one.',
    }),
    healthPort: env.port('BATCHER_HEALTH_PORT', {
      default: 8041,
      doc: 'HTTP: `/livez`, `/readyz`, `/metrics`. 0 takes a free one.',
    }),
    windowBatches: env.number('BATCHER_WINDOW_BATCHES', {
      default: 2,
      min: 1,
      max: 64,
      doc: 'Full batches held for a model and class. Too few: instances wait for the next pull; many: what waits here is ordered by deadline, but no other batcher can take it.',
    }),
    windowBytes: env.int('BATCHER_WINDOW_BYTES', {
      default: 64 * MIB,
      min: MIB,
      doc: 'Bytes that the pulls of one model and class may bring. Too small: large tensors come one by one; large: memory.',
    }),
    replyMarginMs: env.number('BATCHER_REPLY_MARGIN_MS', {
      default: 2,
      min: 0,
      max: 1_000,
      doc: 'A row must leave the model this long before its deadline. Too small: answers come late; too large: rows are dropped that would have made it.',
    }),
    jobsShare: env.number('BATCHER_JOBS_SHARE', {
      default: 0.02,
      min: 0,
      max: 0.5,
      doc: "Share of a model's rows that durable jobs get under full load. 0: jobs wait until synchronous work pauses.",
    }),
    bulkShare: env.number('BATCHER_BULK_SHARE', {
      default: 0.03,
      min: 0,
      max: 0.5,
      doc: "Share of a model's rows that the class bulk gets under full load. 0: it may starve. Together with what is promised to vip at most 0.95.",
    }),
    off: env.string('BATCHER_OFF', {
      default: '',
      pattern: /^$|^(expired|late_staging|floor|gamma)(,(expired|late_staging|floor|gamma))*$/,
      doc: 'Mechanisms to do without, with commas between: `expired`, `late_staging`, `floor`, `gamma`. For measurements of what each is good for.',
    }),
  },
  check: ({ host, advertiseHost }) =>
    (host === '0.0.0.0' || host === '::') && advertiseHost === ''
      ? ['BATCHER_HOST listens on every address: BATCHER_ADVERTISE_HOST must say which one workers dial']
      : [],
});

export type BatcherConfig = ReturnType<typeof batcherConfig.load>;
