import { ConfigError } from '@spillway/config/config-error';
import type { CommandOutcome, ModelCommand } from '@spillway/contracts/buckets';
import { monotonicClock, wallClock } from '@spillway/lifecycle/clock';
import { startGrpcServer } from '@spillway/rpc/server';
import { openService } from '@spillway/service/open-service';
import { BatchFlow } from './adapters/batch-flow.ts';
import { BatcherClient } from './adapters/batcher-client.ts';
import { type CataloguePublisher, publishCatalogue } from './adapters/catalogue.ts';
import { CommandFollower } from './adapters/command-follower.ts';
import { type ModelHost, type ModelLabels, startModelHost } from './adapters/model-host.ts';
import { NO_FOLDER, type Repository, readRepository } from './adapters/model-store.ts';
import { ReplyPublisher } from './adapters/reply-publisher.ts';
import { ResultStore } from './adapters/result-store.ts';
import { type GpuWorkerConfig, gpuWorkerConfig } from './config.ts';
import { Traffic } from './core/traffic.ts';
import { createWorkerTelemetry } from './telemetry.ts';

const SERVICE = 'gpu-worker';
const MAX_GRPC_MESSAGE_BYTES = 64 * 1024; // health checks only

export type GpuWorker = {
  ports: { grpc: number; health: number };
  /** Process ids of the executors that live now. */
  executorPids(): number[];
  /** Takes no further batch, finishes what it holds, stores what its jobs gave. */
  drain(timeoutMs: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * Resolves when at least one model is loaded and warm and the bus is there; until then it is live and not ready. Where models are
 * loaded on command none is enough.
 * @param environment Of this process: what executors need of it is handed on.
 */
export async function startGpuWorker(config: GpuWorkerConfig, environment: NodeJS.ProcessEnv): Promise<GpuWorker> {
  await using opening = new AsyncDisposableStack(); // a failure half-way closes what was opened, in reverse
  const { instance } = config;
  const { fields } = gpuWorkerConfig;
  const base = opening.use(await openService({ service: SERVICE, config, fields, healthPort: config.healthPort }));
  const { log, metrics, state, health, waitingFor } = base;
  waitingFor.add('models');
  const openBus = async () => opening.use(await base.connectBus());
  const found = await openRepository(config.models);
  // Executors start at once and load while the bus connects, unless commands say what is not to be loaded.
  const early = config.modelControlMode === 'explicit' ? await openBus() : undefined;
  const commands = early && opening.use(new CommandFollower(early));
  await commands?.loaded;
  const earlier = commands?.ledger.commands() ?? [];
  const repository = commands ? wantedOf(found, ({ name }) => commands.ledger.isWanted(name)) : found;

  let client: BatcherClient | undefined;
  let entries: CataloguePublisher | undefined;
  const labels = labelsOf(found);
  const telemetry = createWorkerTelemetry({ metrics, log, ...labels, liveExecutors: () => host.pool.live });
  const traffic = new Traffic(monotonicClock);
  const host: ModelHost = opening.use(
    startModelHost(repository, {
      config,
      environment,
      telemetry,
      labels,
      traffic,
      loadedBy: (model) => earlier.find((command) => command.model === model)?.id ?? '',
      events: {
        onDone: (batch, result) => flow.ran(batch, result),
        onFailed: (batch, loss) => flow.lost(batch, loss),
        onNotStarted: (batch) => flow.notStarted(batch),
        onSlots: () => client?.slotsChanged(),
        onChange: () => {
          client?.modelsChanged();
          lease.refresh();
        },
        publish: async () => entries?.publish(),
      },
    }),
  );
  const { pool, catalogue } = host;
  const bus = early ?? (await openBus());
  await host.loaded;
  const isReady = commands !== undefined || catalogue.names.length > 0;
  if (isReady) waitingFor.delete('models');
  else log.error({ models: config.models, failed: catalogue.failed }, 'no model can be served: waiting for a restart');

  const results = new ResultStore(bus, wallClock, (job, outcome, error) => {
    telemetry.jobEnded(outcome);
    if (error !== undefined) log.warn({ err: error, job: job.job, outcome }, 'a job did not get its answer');
  });
  const publisher = new ReplyPublisher(bus, monotonicClock, telemetry.repliesLost);
  const flow = new BatchFlow({
    worker: instance,
    pool,
    publisher,
    results,
    telemetry,
    traffic,
    finished: (origin, done) => client?.finished(origin, done),
  });
  const written = publishCatalogue(bus, catalogue, (err) => log.warn({ err }, 'the catalogue could not be written'));
  entries = written;
  opening.defer(() => written.stop());
  const grpc = opening.use(
    await startGrpcServer({
      host: config.host,
      port: config.grpcPort,
      services: [],
      maxReceiveBytes: MAX_GRPC_MESSAGE_BYTES,
    }),
  );
  const lease = opening.use(
    base.announce(bus, () => ({
      address: `${config.host}:${grpc.port}`,
      models: catalogue.leaseModels(),
      ...(commands && state.get() !== 'draining' && { commands: commands.ledger.outcomes() }),
    })),
  );
  const dispatch = new BatcherClient({
    bus,
    instance,
    clock: monotonicClock,
    served: () => catalogue.served(),
    slotsOf: (model) => pool.slotsOf(model),
    onBatch: (origin, head, message) => flow.accept(origin, head, message),
    onHome: (home, warm) => log.info({ home: home ?? null, warm: warm ?? null }, 'home changed'),
    onDown: (batcher, err) => log.debug({ batcher, err }, 'the stream to a batcher is down'),
  });
  client = dispatch;
  opening.use(dispatch);
  if (isReady) {
    state.set('ready');
    grpc.setServing(true);
    lease.refresh();
  }
  log.info(
    {
      models: catalogue.names,
      failed: catalogue.failed,
      executors: pool.pids(),
      grpc_port: grpc.port,
      health_port: health.port,
    },
    'models are loaded',
  );

  if (commands) {
    for (const command of earlier) commands.ledger.settle(command, outcomeAtStart(command, host));
    const withdraw = ({ model, wanted }: ModelCommand) => void (wanted === 'unloaded' && written.withdraw(model));
    opening.defer(bus.onUp(() => commands.ledger.commands().forEach(withdraw)));
    commands.follow({
      apply: async (command) => {
        const error = await host.apply(command);
        if (command.wanted === 'unloaded') await written.withdraw(command.model); // also where nobody served it
        return error;
      },
      onOutcome: ({ id, model, wanted, by }, error) => {
        if (error === undefined) log.info({ model, command: id, wanted, by }, 'a command was followed');
        else log.error({ model, command: id, wanted, by, error: error.text }, 'a command could not be followed');
        lease.refresh();
      },
    });
    lease.refresh();
  }

  const open = opening.move();
  const drain = async (timeoutMs: number): Promise<void> => {
    const endMs = monotonicClock.now() + timeoutMs;
    state.set('draining');
    commands?.[Symbol.dispose]();
    grpc.setServing(false);
    lease.refresh();
    const finished = await dispatch.drain(timeoutMs);
    const stored = await results.idle(Math.max(0, endMs - monotonicClock.now()));
    if (!finished || !stored) log.warn({ batches: dispatch.held }, 'abandoned at the end of the drain');
  };
  return {
    ports: { grpc: grpc.port, health: health.port },
    executorPids: () => pool.pids(),
    drain,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

const wantedOf = ({ models, broken }: Repository, isWanted: (model: { name: string }) => boolean): Repository => ({
  models: models.filter(isWanted),
  broken: broken.filter(isWanted),
});

const labelsOf = ({ models, broken }: Repository): ModelLabels => ({
  models: new Set([...models, ...broken].map(({ name }) => name)),
  variants: new Set(models.flatMap(({ declaration }) => declaration.variants.map(({ name }) => name))),
});

/** What became of a command that was given before this worker started. */
function outcomeAtStart({ model, wanted }: ModelCommand, { catalogue }: ModelHost): CommandOutcome['error'] {
  if (wanted === 'unloaded' || catalogue.entry(model) !== undefined) return undefined;
  const failed = catalogue.failed.find((candidate) => candidate.model === model);
  return failed === undefined ? { text: NO_FOLDER, missing: true } : { text: failed.error, missing: false };
}

/** @throws ConfigError naming the variable when the folder cannot be read. */
function openRepository(dir: string): Promise<Repository> {
  return readRepository(dir).catch((cause: NodeJS.ErrnoException) => {
    const text = `expected a folder that can be read, got ${cause.code ?? 'an error'}`;
    throw new ConfigError(SERVICE, [{ subject: 'GPU_WORKER_MODELS', text }], { cause });
  });
}
