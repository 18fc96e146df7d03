import { connectBus } from '@spillway/bus/connect';
import { keepLease } from '@spillway/bus/leases';
import { ConfigError } from '@spillway/config/config-error';
import { redact } from '@spillway/config/redact';
import { monotonicClock, wallClock } from '@spillway/lifecycle/clock';
import { serveHealth } from '@spillway/lifecycle/health';
import { StateMachine } from '@spillway/lifecycle/states';
import { startGrpcServer } from '@spillway/rpc/server';
import { createLogger } from '@spillway/telemetry/logger';
import { createMetrics } from '@spillway/telemetry/metrics';
import { startTelemetry } from '@spillway/telemetry/start';
import { BatchFlow } from './adapters/batch-flow.ts';
import { BatcherClient } from './adapters/batcher-client.ts';
import { publishCatalogue } from './adapters/catalogue.ts';
import { type ModelHost, startModelHost } from './adapters/model-host.ts';
import { type Repository, readRepository } from './adapters/model-store.ts';
import { ReplyPublisher } from './adapters/reply-publisher.ts';
import { ResultStore } from './adapters/result-store.ts';
import { type GpuWorkerConfig, gpuWorkerConfig } from './config.ts';
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
 * Resolves when at least one model is loaded and warm and the bus is there; until then it is live and not ready.
 * @param environment Of this process: what executors need of it is handed on.
 */
export async function startGpuWorker(config: GpuWorkerConfig, environment: NodeJS.ProcessEnv): Promise<GpuWorker> {
  const { instance } = config;
  const log = createLogger({ service: SERVICE, instance, level: config.logLevel });
  const state = new StateMachine();
  state.onChange((to, from) => log.info({ from, to }, 'state changed'));
  log.info({ config: redact(gpuWorkerConfig.fields, config) }, 'starting');

  await using opening = new AsyncDisposableStack(); // a failure half-way closes what was opened, in reverse
  opening.use(await startTelemetry({ service: SERVICE, instance, otlpEndpoint: config.otlpEndpoint, logger: log }));
  const metrics = createMetrics(SERVICE);
  const waitingFor = new Set(['models', 'nats']);
  const health = opening.use(
    await serveHealth({
      host: config.host,
      port: config.healthPort,
      metrics: metrics.render,
      state,
      waitingFor: () => [...waitingFor],
    }),
  );

  let client: BatcherClient | undefined;
  const repository = await openRepository(config.models);
  const names = [...repository.models, ...repository.broken].map(({ name }) => name);
  const telemetry = createWorkerTelemetry({
    metrics,
    log,
    models: names,
    variants: repository.models.flatMap(({ declaration }) => declaration.variants.map(({ name }) => name)),
    liveExecutors: () => host.pool.live,
  });
  // Executors start at once: they load while the bus connects.
  const host: ModelHost = opening.use(
    startModelHost(repository, {
      config,
      environment,
      telemetry,
      events: {
        onDone: (batch, result) => flow.ran(batch, result),
        onFailed: (batch, loss) => flow.lost(batch, loss),
        onNotStarted: (batch) => flow.notStarted(batch),
        onSlots: () => client?.slotsChanged(),
      },
    }),
  );
  const { pool, catalogue } = host;
  const onFact = ({ what, ...fields }: { what: string }) => log.info(fields, what);
  const bus = opening.use(await connectBus({ url: config.natsUrl, service: SERVICE, instance, onFact }));
  bus.onUp(() => waitingFor.delete('nats'));
  bus.onDown(() => waitingFor.add('nats'));
  await host.loaded;
  if (catalogue.names.length > 0) waitingFor.delete('models');
  else log.error({ models: config.models, failed: catalogue.failed }, 'no model can be served: waiting for a restart');

  const results = new ResultStore(bus, wallClock, (job, outcome, error) => {
    telemetry.jobEnded(outcome);
    if (error !== undefined) log.warn({ err: error, job: job.job, outcome }, 'a job did not get its answer');
  });
  const publisher = new ReplyPublisher(bus, telemetry.repliesLost);
  const flow = new BatchFlow({
    worker: instance,
    pool,
    publisher,
    results,
    telemetry,
    finished: (origin, done) => client?.finished(origin, done),
  });
  const entries = publishCatalogue(bus, catalogue, (err) => log.warn({ err }, 'the catalogue could not be written'));
  opening.defer(() => entries.stop());
  const grpc = opening.use(
    await startGrpcServer({
      host: config.host,
      port: config.grpcPort,
      services: [],
      maxReceiveBytes: MAX_GRPC_MESSAGE_BYTES,
    }),
  );
  const lease = keepLease(bus, () => ({
    service: SERVICE,
    instance,
    address: `${config.host}:${grpc.port}`,
    state: state.get() === 'ready' ? 'ready' : 'draining',
    models: catalogue.leaseModels(),
  }));
  opening.defer(() => lease.release());
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
  if (catalogue.names.length > 0) {
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

  const open = opening.move();
  const drain = async (timeoutMs: number): Promise<void> => {
    const endMs = monotonicClock.now() + timeoutMs;
    state.set('draining');
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
    [Symbol.asyncDispose]: async () => {
      await open.disposeAsync();
      if (state.get() !== 'failed') state.set('stopped');
    },
  };
}

/** @throws ConfigError naming the variable when the folder cannot be read. */
function openRepository(dir: string): Promise<Repository> {
  return readRepository(dir).catch((cause: NodeJS.ErrnoException) => {
    const text = `expected a folder that can be read, got ${cause.code ?? 'an error'}`;
    throw new ConfigError(SERVICE, [{ subject: 'GPU_WORKER_MODELS', text }], { cause });
  });
}
