import { sep } from 'node:path';
import type { CommandOutcome, ModelCommand } from '@spillway/contracts/buckets';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { executorEnvironment, executorsOf, type GpuWorkerConfig, providersOf } from '../config.ts';
import { type PlanRules, planModels } from '../core/plan-models.ts';
import type { Traffic } from '../core/traffic.ts';
import type { WorkerTelemetry } from '../telemetry.ts';
import { Catalogue } from './catalogue.ts';
import { ExecutorPool, type PoolEvents } from './executor-pool.ts';
import { Generations, type GenerationsOptions } from './generations.ts';
import { NO_FOLDER, type Repository, readModel } from './model-store.ts';

export type ModelHost = AsyncDisposable & {
  readonly pool: ExecutorPool;
  readonly catalogue: Catalogue;
  /** Resolves when every executor has loaded what it could. */
  readonly loaded: Promise<void>;
  /** Follows a command. @returns what went wrong, then everything is as it was. */
  apply(command: ModelCommand): Promise<CommandOutcome['error']>;
};

/** Label values of metrics: they grow with what is loaded. */
export type ModelLabels = { models: Set<string>; variants: Set<string> };

export type ModelHostOptions = {
  config: GpuWorkerConfig;
  /** Of this process: what executors need of it is handed on. */
  environment: NodeJS.ProcessEnv;
  telemetry: WorkerTelemetry;
  labels: ModelLabels;
  traffic: Traffic;
  /** Id of the command that a model of the repository was loaded by before; empty: none. */
  loadedBy: (model: string) => string;
  events: Pick<PoolEvents, 'onDone' | 'onFailed' | 'onNotStarted' | 'onSlots'> &
    Pick<GenerationsOptions, 'onChange' | 'publish'>;
};

/** Starts the executors of a repository and keeps the account of what they have loaded. */
export function startModelHost(repository: Repository, options: ModelHostOptions): ModelHost {
  const { config, environment, telemetry, labels, traffic, loadedBy, events } = options;
  const rules: PlanRules = {
    shared: executorsOf(config),
    runLimitMs: config.runLimitMs,
    worker: config.instance,
    providers: providersOf(config),
    intraOpThreads: config.intraOpThreads,
    maxFileBytes: config.maxModelBytes,
  };
  const plan = planModels(repository.models, rules);
  const catalogue = new Catalogue(repository.models, plan.instances, plan.runLimitMs, loadedBy);
  for (const { name, error } of repository.broken) {
    catalogue.fail({ model: name, version: '', error });
    telemetry.broken(name, error);
  }
  const loaded = Promise.withResolvers<void>();
  const pool: ExecutorPool = new ExecutorPool({
    plans: plan.executors,
    loads: plan.loads,
    runLimitMs: (model) => catalogue.entry(model)?.runLimitMs ?? plan.runLimitMs(model),
    loadLimitMs: config.loadLimitMs,
    env: executorEnvironment(environment),
    events: {
      ...events,
      onLoaded: (executor, answer, generation) => {
        catalogue.loaded(answer, generation);
        generations.answered(executor, answer, generation);
        telemetry.loaded(executor, answer, config.provider);
      },
      onSlots: () => {
        if (pool.ready) loaded.resolve();
        events.onSlots();
      },
      onLost: telemetry.executorLost,
    },
  });
  const { onChange, publish } = events;
  const generations = new Generations({ pool, catalogue, rules, traffic, clock: monotonicClock, onChange, publish });
  if (pool.ready) loaded.resolve(); // nothing to load

  const load = async ({ id, model }: ModelCommand): Promise<CommandOutcome['error']> => {
    try {
      const stored = await readModel(config.models, model);
      if (stored === undefined) return { text: NO_FOLDER, missing: true };
      labels.models.add(model);
      for (const { name } of stored.declaration.variants) labels.variants.add(name);
      await generations.load(stored, id);
      return undefined;
    } catch (thrown) {
      // Whoever commands is told why, and not where this process keeps its files.
      return { text: (thrown as Error).message.replaceAll(`${config.models}${sep}`, ''), missing: false };
    }
  };
  return {
    pool,
    catalogue,
    loaded: loaded.promise,
    apply: async (command) => {
      if (command.wanted === 'loaded') return load(command);
      await generations.unload(command.model);
      return undefined;
    },
    [Symbol.asyncDispose]: () => {
      generations[Symbol.dispose]();
      return pool[Symbol.asyncDispose]();
    },
  };
}
