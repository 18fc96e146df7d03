import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { type Lease, MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import type { ServedModel } from '@spillway/contracts/messages';
import type { LoadedModel } from '../core/executor-messages.ts';
import { type ServedEntry, toModelRecord, toServedModel } from '../core/model-record.ts';
import type { StoredModel } from '../core/plan-models.ts';
import type { ServedGraph } from '../core/served-graph.ts';

export type FailedModel = { model: string; version: string; error: string };

const RETRY_MS = 500;

/** What this worker serves, and what of its repository it does not and why. */
export class Catalogue {
  readonly #stored: ReadonlyMap<string, StoredModel>;
  readonly #instances: (model: string) => number;
  readonly #runLimitMs: (model: string) => number;
  readonly #served = new Map<string, ServedEntry>();
  readonly #failed = new Map<string, FailedModel>();

  constructor(
    stored: readonly StoredModel[],
    instances: (model: string) => number,
    runLimitMs: (model: string) => number,
  ) {
    this.#stored = new Map(stored.map((model) => [model.name, model]));
    this.#instances = instances;
    this.#runLimitMs = runLimitMs;
  }

  /** An executor has answered a load. Several executors load the same version: one that serves is enough. */
  loaded(loaded: LoadedModel): void {
    const { model, version, error } = loaded;
    const stored = this.#stored.get(model);
    if (stored === undefined) return;
    if (error !== '') {
      if (!this.#has(model, version)) this.fail({ model, version, error });
      return;
    }
    this.#failed.delete(`${model}/${version}`);
    const entry = this.#entry(stored);
    entry.versions = entry.versions.filter((known) => known.version !== version);
    const graph = JSON.parse(loaded.graph) as ServedGraph;
    const { provider, warmed, variants } = loaded;
    entry.versions.push({ version, graph, provider, warmed, variants });
    entry.versions.sort((a, b) => Number(a.version) - Number(b.version));
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
      entry = { declaration, versions: [], instances: this.#instances(name), runLimitMs: this.#runLimitMs(name) };
      this.#served.set(name, entry);
    }
    return entry;
  }
}

/**
 * Writes the catalogue's entries whenever the bus is up: also after a restart of NATS that lost them. What cannot be written
 * is tried again while the bus stays up.
 */
export function publishCatalogue(
  bus: Bus,
  catalogue: Catalogue,
  onFault: (error: unknown) => void,
): { publish(): void; stop(): void } {
  const bucket = openBucket<ModelRecord>(bus, MODELS);
  let retry: NodeJS.Timeout | undefined;
  let stopped = false;
  const write = async () => {
    clearTimeout(retry);
    const results = await Promise.allSettled(catalogue.records().map((record) => bucket.put(record.model, record)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined || stopped || !bus.up) return; // when it comes up again everything is written
    onFault(failed.reason);
    retry = setTimeout(() => void write(), RETRY_MS);
  };
  const publish = () => void write();
  const leave = bus.onUp(publish);
  return {
    publish,
    stop: () => {
      stopped = true;
      clearTimeout(retry);
      leave();
    },
  };
}
