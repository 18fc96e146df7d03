import { fileURLToPath } from 'node:url';
import { commonFields } from '@spillway/config/common';
import { defineConfig } from '@spillway/config/define-config';
import { env } from '@spillway/config/env';

const SERVICE = 'feature-service';

/** Relative to it stands the folder of views that the service comes with. */
export const SERVICE_DIR = fileURLToPath(new URL('..', import.meta.url));

/** Everything the feature-service reads from its environment. */
export const featureServiceConfig = defineConfig({
  service: SERVICE,
  prefix: 'FEATURE_SERVICE_',
  fields: {
    ...commonFields(SERVICE),
    host: env.string('FEATURE_SERVICE_HOST', {
      default: '127.0.0.1',
      pattern: /^[A-Za-z0-9.:_-]+$/,
      doc: 'Address to listen on.',
    }),
    advertiseHost: env.string('FEATURE_SERVICE_ADVERTISE_HOST', {
      default: '',
      pattern: /^[A-Za-z0-9._-]*$/,
      doc: 'Address that gateways call, as written into the lease. Empty: the one that is listened on, or the name of the machine when that is every address.',
    }),
    grpcPort: env.port('FEATURE_SERVICE_GRPC_PORT', { default: 8030, doc: 'gRPC: `Features.Fetch` and health.' }),
    healthPort: env.port('FEATURE_SERVICE_HEALTH_PORT', {
      default: 8031,
      doc: 'HTTP: `/livez`, `/readyz`, `/metrics`.',
    }),
    redisUrl: env.url('REDIS_URL', {
      default: 'redis://127.0.0.1:8011',
      schemes: ['redis', 'rediss'],
      doc: 'Redis of the views with `kind: redis`. While it is away their values are defaults.',
    }),
    sqlitePath: env.string('FEATURE_SERVICE_SQLITE_PATH', {
      default: '.spillway/features.sqlite',
      doc: 'SQLite file of the views with `kind: sqlite`, read only. While it is missing their values are defaults.',
    }),
    viewsDir: env.string('FEATURE_SERVICE_VIEWS_DIR', {
      default: 'views',
      doc: 'Folder with one YAML file for each view; a relative path begins at the service’s own folder. Read at start; a fault in any of them ends the start.',
    }),
    mergeWindowMs: env.number('FEATURE_SERVICE_MERGE_WINDOW_MS', {
      default: 5,
      min: 0,
      max: 1_000,
      doc: 'Least time between two round trips of a view that several callers share. Longer: fewer round trips, later answers. 0 merges only what waits for the round trip before.',
    }),
    maxEntities: env.int('FEATURE_SERVICE_MAX_ENTITIES', {
      default: 1_024,
      min: 1,
      max: 65_536,
      doc: 'Entities of one round trip, and of one fetch. More of them block Redis and the SQLite thread for longer at a time.',
    }),
    maxUnsentBytes: env.int('FEATURE_SERVICE_MAX_UNSENT_BYTES', {
      default: 4_194_304,
      min: 65_536,
      doc: 'Answers held for one slow reader; beyond it no more of his fetches are read. Small values slow a bursty gateway down.',
    }),
  },
});

export type FeatureServiceConfig = ReturnType<typeof featureServiceConfig.load>;
