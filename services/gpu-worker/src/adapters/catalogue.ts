import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { type Lease, MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import type { ServedModel } from '@spillway/contracts/messages';
import type { LoadedModel } from '../core/executor-messages.ts';
import { type ServedEntry, toModelRecord, toServedModel } from '../core/model-record.ts';
import type { StoredModel } from '../core/plan-models.ts';
import type { ServedGraph } from '../core/served-graph.ts';

export type FailedModel = { model: string; version: string; error: string };

/** Of a load on command. */
export type GenerationFacts = Pick<ServedEntry, 'generation' | 'instances' | 'runLimitMs' | 'loadedBy'>;

const RETRY_MS = 500;

/** What this worker serves, and what of its repository it does not and why. */
export class Catalogue {
  readonly #stored: Map<string, StoredModel>;
  readonly #instances: (model: string) => number;
  readonly #runLimitMs: (model: string) => number;
  readonly #loadedBy: (model: string) => string;
  readonly #served = new Map<string, ServedEntry>();
  readonly #failed = new Map<string, FailedModel>();

  constructor(
    stored: readonly StoredModel[],
    instances: (model: string) => number,
    runLimitMs: (model: string) => number,
    loadedBy: (model: string) => string,
  ) {
    this.#stored = new Map(stored.map((model) => [model.name, model]));
    this.#instances = instances;
    this.#runLimitMs = runLimitMs;
    this.#loadedBy = loadedBy;
  }

  /**
   * An executor has answered a load. Several executors load the same version: one that serves is enough. One of a former
   * generation says nothing of what is served now.
   */
  loaded(loaded: LoadedModel, generation: number): void {
    const { model, version, error } = loaded;
    const stored = this.#stored.get(model);
    if (stored === undefined || generation !== (this.#served.get(model)?.generation ?? 0)) return;
    if (error !== '') {
      if (!this.#has(model, version)) this.fail({ model, version, error });
      return;
    }
    this.#failed.delete(`${model}/${version}`);
    putVersion(this.#entry(stored), loaded);
  }

  /** A new generation takes the place of what was served of this model, if anything was. */
  replace(stored: StoredModel, answers: readonly LoadedModel[], how: GenerationFacts): void {
    const entry: ServedEntry = { declaration: stored.declaration, versions: [], unloaded: false, ...how };
    for (const answer of answers) putVersion(entry, answer);
    this.#stored.set(stored.name, stored);
    this.#served.set(stored.name, entry);
    for (const [key, { model }] of this.#failed) if (model === stored.name) this.#failed.delete(key);
  }

  /** @returns What is served of the model. */
  entry(model: string): Readonly<ServedEntry> | undefined {
    return this.#served.get(model);
  }

  /** From now on its record says that nothing further is to be accepted. */
  unload(model: string): void {
    const entry = this.#served.get(model);
    if (entry !== undefined) entry.unloaded = true;
  }

  remove(model: string): void {
    this.#stored.delete(model);
    this.#served.delete(model);
  }

  fail(failed: FailedModel): void {
    this.#failed.set(`${failed.model}/${failed.version}`, failed);
  }

  get failed(): FailedModel[] {
    return [...this.#failed.values()];
  }

  get names(): string[] {
    return this.#entries().map(({ declaration }) => declaration.name);
  }

  served(): ServedModel[] {
    return this.#entries().map(toServedModel);
  }

  records(): ModelRecord[] {
    return this.#entries().map(toModelRecord);
  }

  /** For the lease: what can be asked of this worker. */
  leaseModels(): NonNullable<Lease['models']> {
    return this.served().map(({ model, versions }) => ({ model, versions }));
  }

  /** By name: executors load side by side, in no order. */
  #entries(): ServedEntry[] {
    return [...this.#served.values()].sort((a, b) => (a.declaration.name < b.declaration.name ? -1 : 1));
  }

  #has(model: string, version: string): boolean {
    return this.#served.get(model)?.versions.some((known) => known.version === version) ?? false;
  }

  #entry(stored: StoredModel): ServedEntry {
    const { name, declaration } = stored;
    let entry = this.#served.get(name);
    if (entry === undefined) {
      const [instances, runLimitMs] = [this.#instances(name), this.#runLimitMs(name)];
      entry = {
        declaration,
        versions: [],
        instances,
        runLimitMs,
        generation: 0,
        unloaded: false,
        loadedBy: this.#loadedBy(name),
      };
      this.#served.set(name, entry);
    }
    return entry;
  }
}

function putVersion(entry: ServedEntry, { version, graph, provider, warmed, variants }: LoadedModel): void {
  entry.versions = entry.versions.filter((known) => known.version !== version);
  entry.versions.push({ version, graph: JSON.parse(graph) as ServedGraph, provider, warmed, variants });
  entry.versions.sort((a, b) => Number(a.version) - Number(b.version));
}

export type CataloguePublisher = {
  /** Resolves when all entries are written, or the bus is away: when it is back they are written. */
  publish(): Promise<void>;
  /** A record that an earlier life of a worker wrote and that a command has withdrawn since. */
  withdraw(model: string): Promise<void>;
  stop(): void;
};

/**
 * Writes the catalogue's entries whenever the bus is up: also after a restart of NATS that lost them. What cannot be written
 * is tried again while the bus stays up.
 */
export function publishCatalogue(
  bus: Bus,
  catalogue: Catalogue,
  onFault: (error: unknown) => void,
): CataloguePublisher {
  const bucket = openBucket<ModelRecord>(bus, MODELS);
  const stopped = new AbortController();
  const untilWritten = async (write: () => Promise<unknown>): Promise<void> => {
    while (bus.up && !stopped.signal.aborted) {
      try {
        await write();
        return;
      } catch (error) {
        if (stopped.signal.aborted || !bus.up) return;
        onFault(error);
        await delay(RETRY_MS, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined);
      }
    }
  };
  const publish = () =>
    untilWritten(() => Promise.all(catalogue.records().map((record) => bucket.put(record.model, record))));
  const leave = bus.onUp(() => void publish());
  return {
    publish,
    withdraw: (model) =>
      untilWritten(async () => {
        const record = await bucket.get(model);
        if (record !== undefined && !record.unloaded) await bucket.put(model, { ...record, unloaded: true });
      }),
    stop: () => {
      stopped.abort();
      leave();
    },
  };
}
