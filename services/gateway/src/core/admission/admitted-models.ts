import type { LoopSample } from './cpu-guard.ts';
import { ModelAdmission } from './model-admission.ts';
import type { AdmissionSettings } from './settings.ts';
import type { TenantWeights } from './tenant-weights.ts';
import type { AdmittedModel, ModelFacts } from './types.ts';

export type AdmittedModelsOptions = {
  settings: AdmissionSettings;
  instance: string;
  random: () => number;
  weights: TenantWeights;
};

/** The models that are served, each with what is decided for it by itself; and what concerns all of them. */
export class AdmittedModels {
  readonly #options: AdmittedModelsOptions;
  readonly #models = new Map<string, ModelAdmission>();

  constructor(options: AdmittedModelsOptions) {
    this.#options = options;
  }

  get(model: string): ModelAdmission | undefined {
    return this.#models.get(model);
  }

  names(): Iterable<string> {
    return this.#models.keys();
  }

  /** A model becomes known, or its record changes. */
  set(record: AdmittedModel, nowMs: number): void {
    const known = this.#models.get(record.model);
    if (known !== undefined) known.update(record, nowMs);
    else {
      const { settings, instance, random } = this.#options;
      this.#models.set(record.model, new ModelAdmission(record, { settings, instance, random, nowMs }));
    }
  }

  remove(model: string): void {
    this.#models.delete(model);
  }

  /** Weights of tenants have changed. */
  reweigh(): void {
    for (const model of this.#models.values()) model.reweigh(this.#options.weights);
  }

  /** Whether any model is offered more than it can serve, lately and in the mean. */
  flood(nowMs: number): Pick<LoopSample, 'isFlood' | 'excess'> {
    let isFlood = false;
    let excess = 0;
    for (const model of this.#models.values()) {
      if (model.isFlooded(nowMs)) isFlood = true;
      excess = Math.max(excess, model.excess);
    }
    return { isFlood, excess };
  }

  /** @returns The highest level of brown-out, and the shortest default deadline of a model with traffic (Infinity: there is none). */
  tick(elapsedMs: number, nowMs: number, own: { lagMs: number; heap: number }): { level: number; shortestMs: number } {
    let level = 0;
    let shortestMs = Number.POSITIVE_INFINITY;
    for (const model of this.#models.values()) {
      if (model.busy(nowMs)) shortestMs = Math.min(shortestMs, model.record.defaultDeadlineMs);
      model.tick(elapsedMs, nowMs, own, this.#options.weights);
      level = Math.max(level, model.effectiveLevel);
    }
    return { level, shortestMs };
  }

  facts(nowMs: number): ModelFacts[] {
    return [...this.#models.values()].map((model) => model.facts(nowMs));
  }
}
