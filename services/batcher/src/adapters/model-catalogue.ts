import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { isName } from '@spillway/contracts/names';
import { type BatchRules, rulesOf } from '../core/model-rules.ts';

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
    onModel(model, rulesOf(record, { replyMarginMs }));
  });
  return { has: (model) => models.has(model), stop: () => watch.stop() };
}
