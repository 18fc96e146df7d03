import { commonFields } from '@spillway/config/common';
import { defineConfig } from '@spillway/config/define-config';
import { env } from '@spillway/config/env';

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1_000;

/** Everything the cache reads from its environment. */
export const cacheConfig = defineConfig({
  service: 'cache',
  prefix: 'CACHE_',
  fields: {
    ...commonFields('cache'),
    host: env.string('CACHE_HOST', {
      default: '127.0.0.1',
      pattern: /^[A-Za-z0-9.:_-]+$/,
      doc: 'Address to listen on.',
    }),
    advertiseHost: env.string('CACHE_ADVERTISE_HOST', {
      default: '',
      pattern: /^[A-Za-z0-9._-]*$/,
      doc: 'Address that gateways call, as written into the lease. Empty: the one that is listened on, or the name of the machine when that is every address.',
    }),
    grpcPort: env.port('CACHE_GRPC_PORT', {
      default: 8020,
      doc: 'gRPC: `Cache.Access` and health. 0 takes a free one.',
    }),
    healthPort: env.port('CACHE_HEALTH_PORT', {
      default: 8021,
      doc: 'HTTP: `/livez`, `/readyz`, `/metrics`. 0 takes a free one.',
    }),
    redisUrl: env.url('REDIS_URL', {
      default: 'redis://127.0.0.1:8011',
      schemes: ['redis', 'rediss'],
      doc: 'Redis that the instances share. While it is away only memory is asked.',
    }),
    redisTimeoutMs: env.int('CACHE_REDIS_TIMEOUT_MS', {
      default: 10,
      min: 1,
      max: 1_000,
      doc: 'Longest wait for a look-up in Redis; then it is a miss. Too short misses what is there; too long delays every miss while Redis is slow.',
    }),
    maxBytes: env.int('CACHE_MAX_BYTES', {
      default: 64 * MIB,
      min: MIB,
      doc: 'Memory for values. Too small: most hits cost a round trip to Redis.',
    }),
    maxValueBytes: env.int('CACHE_MAX_VALUE_BYTES', {
      default: 256 * 1024,
      min: 1,
      max: 8 * MIB,
      doc: 'A larger value is not kept: a few of them would push out thousands of small ones.',
    }),
    maxTtlMs: env.int('CACHE_MAX_TTL_MS', {
      default: DAY_MS,
      min: 1,
      max: 30 * DAY_MS,
      doc: 'Longer times to live are cut to this.',
    }),
    ttlJitter: env.number('CACHE_TTL_JITTER', {
      default: 0.1,
      min: 0,
      max: 0.5,
      doc: 'Times to live are spread by this share either way. 0: what was written together ends together, and the model gets it all at once.',
    }),
    maxUnwrittenBytes: env.int('CACHE_MAX_UNWRITTEN_BYTES', {
      default: 8 * MIB,
      min: 0,
      doc: 'Values on their way to a slow Redis; further ones stay in memory only.',
    }),
    maxUnsentBytes: env.int('CACHE_MAX_UNSENT_BYTES', {
      default: 4 * MIB,
      min: 65_536,
      doc: 'Answers held for one slow reader; beyond it no more of its look-ups are read.',
    }),
  },
  check: ({ maxBytes, maxValueBytes }) =>
    maxValueBytes > maxBytes
      ? ['CACHE_MAX_VALUE_BYTES is larger than CACHE_MAX_BYTES: such a value could not be kept']
      : [],
});

export type CacheConfig = ReturnType<typeof cacheConfig.load>;
