import type { BucketSpec } from '@spillway/contracts/buckets';
import type { Bus } from './bus.ts';
import { away, clientOf } from './connect.ts';
import type { RawSubscription } from './nats-client.ts';
import type { KvEntry, NatsKv } from './nats-kv.ts';

const RETRY_MS = 100;

/**
 * A KV bucket with JSON values. Watches survive reconnects and the loss of a memory bucket. A value that is no JSON, which only
 * another program can have written, counts as none.
 */
export type Bucket<T> = {
  get(key: string): Promise<T | undefined>;
  /** `storedAtMs`: when the server wrote it, ms since the epoch. */
  read(key: string): Promise<{ value: T; revision: number; storedAtMs: number } | undefined>;
  put(key: string, value: T): Promise<void>;
  /** @returns False if somebody has written or deleted the entry since this revision. */
  replace(key: string, value: T, revision: number): Promise<boolean>;
  /** @returns False if there is an entry already. */
  create(key: string, value: T): Promise<boolean>;
  /** At most `limit` entries whose keys match `filter` (NATS wildcards), oldest write first, behind revision `after`. */
  page(filter: string, after: number, limit: number): Promise<{ key: string; value: T; revision: number }[]>;
  delete(key: string): Promise<void>;
  /** Present entries first, then changes; `undefined` means deleted. After a reconnect the present ones come again. */
  watch(onEntry: (key: string, value: T | undefined) => void): BucketWatch;
};

/** `loaded` resolves when the entries that were present have been given. */
export type BucketWatch = { readonly loaded: Promise<void>; stop(): void };

function parse<T>(bytes: Uint8Array | undefined): T | undefined {
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as T;
  } catch {
    return undefined;
  }
}

export function openBucket<T>(bus: Bus, spec: BucketSpec): Bucket<T> {
  let opened: Promise<NatsKv> | undefined;
  bus.onDown(() => {
    opened = undefined;
  });
  const open = (): Promise<NatsKv> => {
    if (!bus.up) return Promise.reject(away());
    if (opened === undefined) {
      const opening = clientOf(bus).kv(spec);
      opened = opening;
      opening.catch(() => {
        if (opened === opening) opened = undefined; // a failure is not kept: the next call tries again
      });
    }
    return opened;
  };
  return {
    get: async (key) => parse<T>(await (await open()).get(key)),
    read: async (key) => {
      const found = await (await open()).read(key);
      const value = parse<T>(found?.value);
      return found === undefined || value === undefined ? undefined : { ...found, value };
    },
    replace: async (key, value, revision) => (await open()).replace(key, Buffer.from(JSON.stringify(value)), revision),
    put: async (key, value) => (await open()).put(key, Buffer.from(JSON.stringify(value))),
    create: async (key, value) => (await open()).create(key, Buffer.from(JSON.stringify(value))),
    page: async (filter, after, limit) => {
      const entries = await (await open()).page(filter, after, limit);
      return entries.flatMap(({ key, value, revision }) => {
        const parsed = parse<T>(value);
        return parsed === undefined ? [] : [{ key, value: parsed, revision }];
      });
    },
    delete: async (key) => (await open()).delete(key),
    watch: (onEntry) => {
      let current: RawSubscription | undefined;
      let stopped = false;
      const loaded = Promise.withResolvers<void>();
      let attempt = 0; // a later start makes an earlier one, still opening, worthless
      const again = () => {
        if (!stopped && bus.up) setTimeout(start, RETRY_MS).unref();
      };
      const start = async () => {
        attempt += 1;
        const own = attempt;
        current?.stop();
        current = undefined;
        const entry = ({ key, value }: KvEntry) => {
          if (!stopped && own === attempt) onEntry(key, parse<T>(value));
        };
        try {
          const watch = await (await open()).watch({ entry, loaded: loaded.resolve, ended: again });
          if (stopped || own !== attempt) watch.stop();
          else current = watch;
        } catch {
          if (own === attempt) again();
        }
      };
      const leave = bus.onUp(() => void start());
      return {
        loaded: loaded.promise,
        stop: () => {
          stopped = true;
          leave();
          current?.stop();
        },
      };
    },
  };
}
