import { SpillwayError } from '@spillway/errors/spillway-error';
import { apiCode, type KV, type RawSubscription, unavailable } from './nats-client.ts';

export type KvEntry = { key: string; value: Uint8Array | undefined };
/** A present entry with its place in the bucket: a later write has a higher one. */
export type KvPresent = { key: string; value: Uint8Array; revision: number };

/** `storedAtMs`: by the server's clock, since the epoch. */
export type KvStored = { value: Uint8Array; revision: number; storedAtMs: number };

type Watch = Awaited<ReturnType<KV['watch']>>;
/** Runs what opens a watch, so that the client does not close under it. */
type OpenWatch = (open: () => Promise<Watch>) => Promise<Watch>;

const NO_KEY = 10_037;
const WRONG_LAST_SEQ = 10_071;
const FULL = 10_077;
/** Room comes as entries end, which takes a while. */
const FULL_RETRY_MS = 10_000;

export class NatsKv {
  readonly #kv: KV;
  readonly #bucket: string;
  readonly #open: OpenWatch;

  constructor(kv: KV, bucket: string, open: OpenWatch) {
    this.#kv = kv;
    this.#bucket = bucket;
    this.#open = open;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    try {
      const entry = await this.#kv.get(key);
      return entry === null || entry.operation !== 'PUT' ? undefined : entry.value;
    } catch (thrown) {
      if (apiCode(thrown) === NO_KEY) return undefined;
      throw unavailable(`bucket ${this.#bucket} could not be read`, thrown);
    }
  }

  /** A present entry, with what a later write of it is held against. */
  async read(key: string): Promise<KvStored | undefined> {
    try {
      const entry = await this.#kv.get(key);
      if (entry === null || entry.operation !== 'PUT') return undefined;
      const { value, revision, created } = entry;
      return { value, revision, storedAtMs: created.getTime() };
    } catch (thrown) {
      if (apiCode(thrown) === NO_KEY) return undefined;
      throw unavailable(`bucket ${this.#bucket} could not be read`, thrown);
    }
  }

  /** False: the entry is not what it was at this revision. */
  async replace(key: string, value: Uint8Array, revision: number): Promise<boolean> {
    try {
      await this.#kv.update(key, value, revision);
      return true;
    } catch (thrown) {
      if (apiCode(thrown) === WRONG_LAST_SEQ) return false;
      throw this.#refused(thrown);
    }
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#kv.put(key, value).catch((thrown: unknown) => {
      throw unavailable(`bucket ${this.#bucket} could not be written`, thrown);
    });
  }

  /** False: there is an entry already. */
  async create(key: string, value: Uint8Array): Promise<boolean> {
    try {
      await this.#kv.create(key, value);
      return true;
    } catch (thrown) {
      if (apiCode(thrown) === WRONG_LAST_SEQ) return false;
      throw this.#refused(thrown);
    }
  }

  #refused(thrown: unknown): SpillwayError {
    if (apiCode(thrown) !== FULL) return unavailable(`bucket ${this.#bucket} could not be written`, thrown);
    const why = `bucket ${this.#bucket} is full`;
    return new SpillwayError('OVERLOADED', why, { reason: 'bucket_full', retryAfterMs: FULL_RETRY_MS, cause: thrown });
  }

  /** At most `limit` present entries whose keys match, in the order of their last writes, from behind revision `after` on. */
  async page(filter: string, after: number, limit: number): Promise<KvPresent[]> {
    const found: KvPresent[] = [];
    try {
      let behindLast = false; // known before the first entry is read, or while they are read
      let entries: Watch | undefined;
      const initializedFn = () => {
        behindLast = true;
        entries?.stop();
      };
      const resume = after > 0 && { resumeFromRevision: after + 1 };
      entries = await this.#open(() => this.#kv.watch({ key: filter, initializedFn, ...resume }));
      if (behindLast) entries.stop();
      for await (const { key, value, revision, operation } of entries) {
        if (operation === 'PUT') found.push({ key, value, revision }); // `ignoreDeletes` would wait for ever behind a deletion
        if (found.length === limit) break;
      }
      entries.stop();
      return found;
    } catch (thrown) {
      throw unavailable(`bucket ${this.#bucket} could not be read`, thrown);
    }
  }

  async delete(key: string): Promise<void> {
    await this.#kv.delete(key).catch((thrown: unknown) => {
      throw unavailable(`bucket ${this.#bucket} could not be written`, thrown);
    });
  }

  /**
   * All present entries, then every change. `loaded` is called once, behind the present entries, at once for an empty bucket;
   * `ended` when the server or the connection ended the watch, and not by `stop`.
   */
  async watch(on: { entry(entry: KvEntry): void; loaded(): void; ended(): void }): Promise<RawSubscription> {
    const entries = await this.#open(() => this.#kv.watch({ initializedFn: on.loaded }));
    let stopped = false;
    const follow = async () => {
      for await (const entry of entries) {
        on.entry({ key: entry.key, value: entry.operation === 'PUT' ? entry.value : undefined });
      }
    };
    void follow()
      .catch(() => undefined) // says only that it ended
      .then(() => {
        if (!stopped) on.ended();
      });
    const stop = () => {
      stopped = true;
      entries.stop();
    };
    return { stop };
  }
}
