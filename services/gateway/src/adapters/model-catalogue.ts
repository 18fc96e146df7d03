import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import type { LeaseWatch } from '@spillway/bus/leases';
import { type Lease, MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { isName } from '@spillway/contracts/names';
import { versionNumber } from '../core/model-version.ts';

/** Which models exist (the catalogue) and which a live worker serves (the leases). */
export type ModelCatalogue = {
  /** Resolves when every model of the bucket is known: before that a model may be missed that exists. */
  readonly loaded: Promise<void>;
  get(model: string): ModelRecord | undefined;
  list(): ModelRecord[];
  /** What a model was before it was unloaded on command; `get` and `list` do not have it. */
  unloaded(model: string): ModelRecord | undefined;
  listUnloaded(): ModelRecord[];
  /** A live worker has this version or label loaded and warm; without one: any. */
  isReady(model: string, version?: string): boolean;
  /** It was unloaded, and a worker still runs what was accepted before. */
  isLeaving(model: string): boolean;
  /** Called for every model that is known, then for each that changes; undefined: gone. */
  onChange(listener: (model: string, record: ModelRecord | undefined) => void): void;
  /** Reads one record from the bucket itself: the watch may be behind it. @throws SpillwayError `UNAVAILABLE`. */
  refresh(model: string): Promise<void>;
  stop(): void;
};

const serves = (lease: Lease, model: string, version: string | undefined): boolean =>
  lease.state === 'ready' &&
  (lease.models ?? []).some(
    (entry) => entry.model === model && (version === undefined || entry.versions.includes(version)),
  );

const byName = (records: ReadonlyMap<string, ModelRecord>): ModelRecord[] =>
  [...records.values()].sort((a, b) => (a.model < b.model ? -1 : 1));

export function watchModels(bus: Bus, workers: Pick<LeaseWatch, 'list'>): ModelCatalogue {
  const records = new Map<string, ModelRecord>();
  const unloaded = new Map<string, ModelRecord>();
  const bucket = openBucket<ModelRecord>(bus, MODELS);
  const listeners: ((model: string, record: ModelRecord | undefined) => void)[] = [];
  const keep = (name: string, stored: ModelRecord | undefined) => {
    if (!isName(name)) return;
    const record = stored?.unloaded ? undefined : stored;
    if (stored?.unloaded) unloaded.set(name, stored);
    else unloaded.delete(name);
    if (record === undefined) records.delete(name);
    else records.set(name, record);
    for (const listener of listeners) listener(name, record);
  };
  const watch = bucket.watch(keep);
  return {
    loaded: watch.loaded,
    get: (model) => records.get(model),
    list: () => byName(records),
    unloaded: (model) => unloaded.get(model),
    listUnloaded: () => byName(unloaded),
    onChange: (listener) => {
      listeners.push(listener);
      for (const [name, record] of records) listener(name, record);
    },
    refresh: async (model) => keep(model, await bucket.get(model)),
    isReady: (model, version) => {
      const record = records.get(model);
      if (record === undefined) return false;
      const number = version === undefined ? undefined : versionNumber(record, version);
      if (version !== undefined && number === undefined) return false;
      return workers.list().some((lease) => serves(lease, model, number));
    },
    isLeaving: (model) => unloaded.has(model) && workers.list().some((lease) => serves(lease, model, undefined)),
    stop: () => watch.stop(),
  };
}
