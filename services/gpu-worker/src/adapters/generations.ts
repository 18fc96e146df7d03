import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@spillway/lifecycle/clock';
import type { LoadedModel } from '../core/executor-messages.ts';
import { formerVersions, mayLeave, planGeneration } from '../core/generation.ts';
import type { ServedEntry } from '../core/model-record.ts';
import type { ModelPlan, PlanRules, StoredModel } from '../core/plan-models.ts';
import type { Traffic } from '../core/traffic.ts';
import type { Catalogue } from './catalogue.ts';
import type { ExecutorPool } from './executor-pool.ts';

const LOOK_MS = 50;

export type GenerationsOptions = {
  pool: ExecutorPool;
  catalogue: Catalogue;
  rules: PlanRules;
  traffic: Traffic;
  clock: Clock;
  /** Other models or versions are served, or by other executors: batchers and the lease are to say so. */
  onChange: () => void;
  /** Resolves when the catalogue's records are written. */
  publish: () => Promise<void>;
};

/** What executors of a generation that does not serve yet have answered, by executor and version. */
type Starting = { answers: Map<string, LoadedModel>; awaited: number; over: PromiseWithResolvers<void> };

/**
 * Swaps models while they are served: start, warm, shift traffic, drain, exit. Each load is a generation of executors of its own
 * beside those that serve; what fails before the shift changes nothing. One command for a model at a time is its caller's to see to.
 */
export class Generations implements Disposable {
  readonly #options: GenerationsOptions;
  readonly #starting = new Map<number, Starting>();
  readonly #lingering = new Set<NodeJS.Timeout>();
  readonly #stopped = new AbortController();
  #last = 0;

  constructor(options: GenerationsOptions) {
    this.#options = options;
  }

  /** An executor answered a load. */
  answered(executor: string, loaded: LoadedModel, generation: number): void {
    const starting = this.#starting.get(generation);
    if (starting === undefined) return;
    starting.answers.set(`${executor}/${loaded.version}`, loaded);
    if (loaded.error !== '' || starting.answers.size === starting.awaited) starting.over.resolve();
  }

  /**
   * Serves the model as its folder is now. Resolves when the new executors take its batches and the catalogue says so.
   * @param loadedBy Id of the command.
   * @throws Error saying what is wrong with a version: then everything is as it was.
   */
  async load(stored: StoredModel, loadedBy: string): Promise<void> {
    const { pool, catalogue, rules, onChange, publish } = this.#options;
    const { name } = stored;
    this.#last += 1;
    const generation = this.#last;
    const plan = planGeneration(stored, generation, rules);
    const answers = await this.#start(plan, generation);
    const failed = answers.find(({ error }) => error !== '');
    if (failed !== undefined) {
      void pool.retire(name, (other) => other === generation);
      throw new Error(`version ${failed.version}: ${failed.error}`);
    }
    const before = catalogue.entry(name);
    const facts = { generation, instances: plan.executors.length, runLimitMs: plan.runLimitMs(name), loadedBy };
    catalogue.replace(stored, answers, facts);
    const versions = stored.versions.map(({ version }) => version);
    pool.shift(name, generation, versions);
    if (before !== undefined) this.#linger(before, generation, versions);
    onChange();
    await publish();
  }

  /**
   * Serves the model no more. First its record says so, and what was accepted before is run; then its executors host it no more,
   * and those that hosted nothing else end. Resolves when they have ended.
   */
  async unload(model: string): Promise<void> {
    const { pool, catalogue, traffic, clock, onChange, publish } = this.#options;
    const entry = catalogue.entry(model);
    if (entry === undefined) return;
    catalogue.unload(model);
    await publish();
    const sinceMs = clock.now();
    const { maxDeadlineMs } = entry.declaration;
    while (!mayLeave(traffic.quietMs(model), clock.now() - sinceMs, maxDeadlineMs)) {
      await delay(LOOK_MS, undefined, { signal: this.#stopped.signal });
    }
    catalogue.remove(model);
    const ended = pool.retire(model, () => true);
    onChange();
    await ended;
  }

  [Symbol.dispose](): void {
    this.#stopped.abort();
    for (const timer of this.#lingering) clearTimeout(timer);
    for (const { over } of this.#starting.values()) over.resolve();
  }

  async #start({ executors, loads }: ModelPlan, generation: number): Promise<LoadedModel[]> {
    const awaited = executors.flatMap(({ models }) => models.flatMap((model) => loads.get(model) ?? [])).length;
    const starting: Starting = { answers: new Map(), awaited, over: Promise.withResolvers() };
    this.#starting.set(generation, starting);
    this.#options.pool.add({ plans: executors, loads }, generation);
    await starting.over.promise;
    this.#starting.delete(generation);
    this.#stopped.signal.throwIfAborted();
    return [...starting.answers.values()];
  }

  /** Requests that were accepted for a version which is gone end at the model's longest deadline: until then it can run. */
  #linger({ declaration, versions }: ServedEntry, generation: number, after: readonly string[]): void {
    const { name, maxDeadlineMs } = declaration;
    const before = versions.map(({ version }) => version);
    if (formerVersions(before, after).length === 0) return;
    const timer = setTimeout(() => {
      this.#lingering.delete(timer);
      void this.#options.pool.retire(name, (other) => other < generation);
    }, maxDeadlineMs);
    this.#lingering.add(timer);
  }
}
