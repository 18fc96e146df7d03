import { executorEnvironment, executorsOf, type GpuWorkerConfig, providersOf } from '../config.ts';
import { planModels } from '../core/plan-models.ts';
import type { WorkerTelemetry } from '../telemetry.ts';
import { Catalogue } from './catalogue.ts';
import { ExecutorPool, type PoolEvents } from './executor-pool.ts';
import type { Repository } from './model-store.ts';

export type ModelHost = AsyncDisposable & {
  readonly pool: ExecutorPool;
  readonly catalogue: Catalogue;
  /** Resolves when every executor has loaded what it could. */
  readonly loaded: Promise<void>;
};

export type ModelHostOptions = {
  config: GpuWorkerConfig;
  /** Of this process: what executors need of it is handed on. */
  environment: NodeJS.ProcessEnv;
  telemetry: WorkerTelemetry;
  events: Pick<PoolEvents, 'onDone' | 'onFailed' | 'onNotStarted' | 'onSlots'>;
};

/** Starts the executors of a repository and keeps the account of what they have loaded. */
export function startModelHost(repository: Repository, options: ModelHostOptions): ModelHost {
  const { config, environment, telemetry, events } = options;
  const plan = planModels(repository.models, {
    shared: executorsOf(config),
    runLimitMs: config.runLimitMs,
    worker: config.instance,
    providers: providersOf(config),
    intraOpThreads: config.intraOpThreads,
    maxFileBytes: config.maxModelBytes,
  });
  const catalogue = new Catalogue(repository.models, plan.instances, plan.runLimitMs);
  for (const { name, error } of repository.broken) {
    catalogue.fail({ model: name, version: '', error });
    telemetry.broken(name, error);
  }
  const loaded = Promise.withResolvers<void>();
  const pool: ExecutorPool = new ExecutorPool({
    plans: plan.executors,
    loads: plan.loads,
    runLimitMs: plan.runLimitMs,
    loadLimitMs: config.loadLimitMs,
    env: executorEnvironment(environment),
    events: {
      ...events,
      onLoaded: (executor, answer) => {
        catalogue.loaded(answer);
        telemetry.loaded(executor, answer, config.provider);
      },
      onSlots: () => {
        if (pool.ready) loaded.resolve();
        events.onSlots();
      },
      onLost: telemetry.executorLost,
    },
  });
  if (pool.ready) loaded.resolve(); // nothing to load
  return { pool, catalogue, loaded: loaded.promise, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
}
