import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { isName } from '@spillway/contracts/names';
import type { BatchRules } from '../core/batch-queue.ts';

/** A message to a worker holds at most 16 MiB; ids and fields of the largest batch fit into the rest. */
const MAX_BATCH_BYTES = 14 * 1024 * 1024;

export type ModelCatalogue = { has(model: string): boolean; stop(): void };

export type CatalogueOptions = {
  bus: Bus;
  replyMarginMs: number;
  /** A model appeared or changed. */
  onModel: (model: string, rules: BatchRules) => void;
  onGone: (model: string) => void;
};

/** Follows the bucket of models: which exist, and how their batches are formed. */
export function watchModels({ bus, replyMarginMs, onModel, onGone }: CatalogueOptions): ModelCatalogue {
  const models = new Set<string>();
  const watch = openBucket<ModelRecord>(bus, MODELS).watch((model, record) => {
    if (!isName(model)) return;
    if (record === undefined) {
      if (models.delete(model)) onGone(model);
      return;
    }
    models.add(model);
    const { maxBatchCost = Number.POSITIVE_INFINITY, maxQueueDelayMs = 0 } = record;
    onModel(model, { maxBatchCost, maxBatchBytes: MAX_BATCH_BYTES, maxQueueDelayMs, replyMarginMs });
  });
  return { has: (model) => models.has(model), stop: () => watch.stop() };
}
