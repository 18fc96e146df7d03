import type { CacheGet, CachePut, CacheRequest, CacheResult } from '@spillway/contracts/messages';
import type { Clock, WallClock } from '@spillway/lifecycle/clock';
import type { InFlight } from '@spillway/lifecycle/in-flight';
import { ageMs, type Entry, isStale, remainingMs } from '../core/entry.ts';
import { hexKey, isKey, type KeepRules, keepFor } from '../core/keep.ts';
import { SingleFlight } from '../core/single-flight.ts';
import type { CacheTelemetry, Tier } from '../telemetry.ts';
import type { MemoryTier } from './memory-tier.ts';
import type { RedisTier } from './redis-tier.ts';

/** Takes the answer of one look-up; must not throw. */
export type Send = (result: CacheResult) => void;

export type LookupsOptions = {
  memory: MemoryTier;
  redis: RedisTier;
  keep: KeepRules;
  /** Keys in one round trip to Redis. */
  maxKeys: number;
  clock: Clock;
  wallClock: WallClock;
  inFlight: InFlight;
  telemetry: CacheTelemetry;
};

type Caller = { get: CacheGet; send: Send; startMs: number };

const NOTHING = new Uint8Array(0);

/** A stale entry is a hit only for who allows it. */
const serves = (get: CacheGet, entry: Entry, epochMs: number): boolean =>
  get.allowStale === true || !isStale(entry, epochMs);

/** The two tiers behind one look-up: memory hits are answered at once, the rest of the turn goes to Redis together. */
export class Lookups {
  readonly #options: LookupsOptions;
  readonly #flight = new SingleFlight<Caller>();
  #scheduled = false;

  constructor(options: LookupsOptions) {
    this.#options = options;
  }

  /** Puts first: a message that writes and reads a key reads what it wrote. */
  handle(request: CacheRequest, send: Send): void {
    for (const put of request.puts) this.#put(put);
    const startMs = this.#options.clock.now();
    const epochMs = this.#options.wallClock.epochMs();
    for (const get of request.gets) this.#get({ get, send, startMs }, epochMs);
  }

  #get(caller: Caller, epochMs: number): void {
    const { memory, redis } = this.#options;
    const key = isKey(caller.get.key) ? hexKey(caller.get.key) : undefined;
    const entry = key === undefined ? undefined : memory.get(key);
    if (entry !== undefined && serves(caller.get, entry, epochMs)) this.#answer(caller, entry, 'memory', epochMs);
    else if (key === undefined || redis.isOpen) this.#answer(caller, undefined, '', epochMs);
    else {
      this.#options.inFlight.begin();
      if (this.#flight.join(key, caller)) this.#schedule();
    }
  }

  /** At the end of this turn of the loop, so that all misses of all streams in it share a round trip. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const { maxKeys } = this.#options;
      for (let keys = this.#flight.take(maxKeys); keys.length > 0; keys = this.#flight.take(maxKeys))
        void this.#readRedis(keys);
    });
  }

  async #readRedis(keys: string[]): Promise<void> {
    const { redis, wallClock, telemetry, inFlight } = this.#options;
    const startMs = this.#options.clock.now();
    const read = await redis.read(keys);
    telemetry.redisRead(read, keys.length, startMs);
    const epochMs = wallClock.epochMs();
    for (const [index, key] of keys.entries()) {
      const entry = this.#promote(key, read.entries[index], epochMs);
      for (const caller of this.#flight.settle(key)) {
        const served = entry !== undefined && serves(caller.get, entry, epochMs) ? entry : undefined;
        this.#answer(caller, served, served === undefined ? '' : 'redis', epochMs);
        inFlight.end();
      }
    }
  }

  /** Keeps what Redis had for the rest of its time. A copy: the value is a view into what the socket received. */
  #promote(key: string, found: Entry | undefined, epochMs: number): Entry | undefined {
    const { memory } = this.#options;
    const newer = memory.get(key); // put while Redis was being asked
    if (newer !== undefined || found === undefined) return newer;
    const leftMs = remainingMs(found, epochMs);
    if (leftMs <= 0) return undefined;
    const entry = { ...found, value: new Uint8Array(found.value) };
    memory.set(key, entry, leftMs);
    return entry;
  }

  #answer({ get, send, startMs }: Caller, entry: Entry | undefined, tier: Tier, epochMs: number): void {
    this.#options.telemetry.lookup(get, tier, startMs);
    if (entry === undefined) send({ id: get.id, hit: false, value: NOTHING, ageMs: 0, tier: '' });
    else {
      const stale = isStale(entry, epochMs);
      send({ id: get.id, hit: true, value: entry.value, ageMs: Math.floor(ageMs(entry, epochMs)), tier, stale });
    }
  }

  #put(put: CachePut): void {
    const { memory, redis, keep, wallClock, telemetry } = this.#options;
    const kept = keepFor(put, keep);
    if ('refused' in kept) {
      telemetry.notKept(kept.refused);
      return;
    }
    const key = hexKey(put.key);
    // A copy: the value is a view into the whole message.
    const entry = { value: new Uint8Array(put.value), storedMs: wallClock.epochMs(), ...kept };
    memory.set(key, entry, entry.ttlMs + entry.staleMs);
    void redis.write(key, entry).then(telemetry.redisWrite);
  }
}
