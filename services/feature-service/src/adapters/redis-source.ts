import { type Name, toName } from '@spillway/contracts/names';
import type { RedisClient } from '@spillway/redis/client';
import type { FeatureSource, FeatureView, SourceAnswer } from '../core/feature-view.ts';

/** Key of the hash that holds one entity's row of a view. The braces keep all views of an entity on one node of a cluster. */
export const redisKey = (entity: string, view: Name): string => `spw:f:{${toName(entity, 'entity')}}:${view}`;

/** The hash: `d` a JSON object of values by field, `v` the view's version, `ts` when it was written (ms since the epoch). */
type Hash = [d: string | null, v: string | null, ts: string | null];

/** A pipeline of HMGETs, one for each entity: written at once, so one round trip. */
export class RedisSource implements FeatureSource {
  readonly kind = 'redis';
  readonly #redis: RedisClient;

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  async fetch(view: FeatureView, entities: readonly string[]): Promise<SourceAnswer[]> {
    const pipeline = this.#redis.pipeline();
    for (const entity of entities) pipeline.hmget(redisKey(entity, view.view), 'd', 'v', 'ts');
    const replies = (await pipeline.exec()) ?? [];
    return entities.map((_, index) => {
      const [error, hash] = replies[index] ?? [new Error('no reply'), null];
      if (error === null) return readHash(view, hash as Hash);
      if (error.message.startsWith('WRONGTYPE')) return 'unreadable'; // this key is no hash; the source itself is well
      throw error;
    });
  }
}

function readHash(view: FeatureView, [d, v, ts]: Hash): SourceAnswer {
  if (d === null) return 'missing';
  const values = parseObject(d);
  if (values === undefined) return 'unreadable';
  const updatedMs = ts === null ? undefined : Number(ts);
  if (updatedMs !== undefined && !Number.isFinite(updatedMs)) return 'unreadable';
  return { values: view.fields.map((field) => values[field.name]), version: Number(v ?? 1), updatedMs };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
