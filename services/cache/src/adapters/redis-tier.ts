import type { Breaker, BreakerChange } from '@spillway/lifecycle/breaker';
import { within } from '@spillway/lifecycle/within';
import type { RedisClient } from '@spillway/redis/client';
import { decodeEntry, type Entry, encodeEntry } from '../core/entry.ts';

/** `key` is lower-case hex. */
const redisKey = (key: string): string => `spw:c:${key}`;

/** `ok` may hold misses. All others are misses for every key. */
export type ReadOutcome = 'ok' | 'timeout' | 'error' | 'open';
export type Read = {
  outcome: ReadOutcome;
  /** Entry i belongs to key i. */
  entries: (Entry | undefined)[];
  /** Values that are no entry of their key: foreign, truncated, flipped. */
  corrupt: number;
  error?: Error;
  breaker?: BreakerChange;
};

export type WriteOutcome = 'ok' | 'error' | 'open' | 'backlog';

export type RedisTierOptions = {
  /** One connection for look-ups, one for writes: a large value that is being written must not hold up a look-up. */
  reads: RedisClient;
  writes: RedisClient;
  /** One server, one breaker. */
  breaker: Breaker;
  /** Longest time of a look-up. */
  timeoutMs: number;
  /** Bytes written and not acknowledged; more are dropped. */
  maxUnwrittenBytes: number;
};

/** The tier that instances share. Never fails: what goes wrong is a miss, or a value that was not kept, and a fact. */
export class RedisTier {
  readonly #options: RedisTierOptions;
  #unwrittenBytes = 0;

  constructor(options: RedisTierOptions) {
    this.#options = options;
  }

  /** Would a look-up be refused by the breaker now? */
  get isOpen(): boolean {
    return this.#options.breaker.blocks();
  }

  /** One MGET: one round trip for all keys. */
  async read(keys: readonly string[]): Promise<Read> {
    const { breaker, reads, timeoutMs } = this.#options;
    if (!breaker.allow()) return { outcome: 'open', entries: [], corrupt: 0 };
    try {
      const values = await within(reads.mgetBuffer(keys.map(redisKey)), timeoutMs, LATE);
      const entries = keys.map((key, index) => {
        const bytes = values[index];
        return bytes ? decodeEntry(key, bytes) : undefined;
      });
      const corrupt = values.reduce((sum, bytes, index) => (bytes && !entries[index] ? sum + 1 : sum), 0);
      return { outcome: 'ok', entries, corrupt, breaker: breaker.succeeded() };
    } catch (thrown) {
      const error = thrown as Error;
      return {
        outcome: error === LATE ? 'timeout' : 'error',
        entries: [],
        corrupt: 0,
        error,
        breaker: breaker.failed(),
      };
    }
  }

  /**
   * Nobody waits for it. Writes of one turn of the event loop leave in one pipeline (ioredis' automatic one). Look-ups
   * alone judge Redis: a burst of writes that one pause of this process made late says nothing about it.
   */
  async write(key: string, entry: Entry): Promise<WriteOutcome> {
    const { breaker, writes, maxUnwrittenBytes } = this.#options;
    if (breaker.state !== 'closed') return 'open';
    const bytes = encodeEntry(key, entry);
    if (this.#unwrittenBytes + bytes.length > maxUnwrittenBytes) return 'backlog';
    this.#unwrittenBytes += bytes.length;
    try {
      await writes.set(redisKey(key), bytes, 'PX', entry.ttlMs + entry.staleMs);
      return 'ok';
    } catch {
      return 'error';
    } finally {
      this.#unwrittenBytes -= bytes.length;
    }
  }
}

const LATE = new Error('Redis did not answer in time');
