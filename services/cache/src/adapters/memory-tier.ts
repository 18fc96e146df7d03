import type { Clock } from '@spillway/lifecycle/clock';
import { LRUCache } from 'lru-cache';
import type { Entry } from '../core/entry.ts';

/** What a key, an entry object, a buffer and the list's links cost beside the value: 450 to 530 B of heap measured. */
const ENTRY_BYTES = 512;

export type MemoryTierOptions = {
  maxBytes: number;
  clock: Clock;
  /** Something was pushed out to make room. */
  onEvict: () => void;
};

/** The tier in this process: least recently used goes first, bounded in bytes, each entry for its own time. */
export class MemoryTier {
  readonly #entries: LRUCache<string, Entry>;

  constructor({ maxBytes, clock, onEvict }: MemoryTierOptions) {
    this.#entries = new LRUCache<string, Entry>({
      maxSize: maxBytes,
      sizeCalculation: ({ value }) => value.byteLength + ENTRY_BYTES,
      ttlResolution: 0, // ask the clock each time: no timer
      perf: clock,
      disposeAfter: (_entry, _key, reason) => {
        if (reason === 'evict') onEvict();
      },
    });
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get count(): number {
    return this.#entries.size;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Keeps the entry for `ttlMs` from now; owns its value from then on. One larger than the tier is not kept. */
  set(key: string, entry: Entry, ttlMs: number): void {
    this.#entries.set(key, entry, { ttl: ttlMs });
  }
}
