import { setTimeout as delay } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { listenToHeartbeats } from '@spillway/bus/heartbeats';
import { ClockOffsets } from '@spillway/contracts/deadline';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { type Clock, monotonicClock, wallClock } from '@spillway/lifecycle/clock';
import { RequestIds } from '@spillway/lifecycle/ids';
import { watchLoopLag } from '@spillway/lifecycle/loop-lag';
import { startGrpcServer } from '@spillway/rpc/server';
import { openService } from '@spillway/service/open-service';
import { listenToCancels } from './adapters/cancel-listener.ts';
import { DispatchLoop } from './adapters/dispatch-loop.ts';
import { FrameReader } from './adapters/frame-reader.ts';
import { exchangeLoad } from './adapters/load-exchange.ts';
import { watchModels } from './adapters/model-catalogue.ts';
import { buryJob, refuseExpired, refuseRequests, reissueJob } from './adapters/refusals.ts';
import { publishRunningJobs } from './adapters/running-jobs.ts';
import { rescueStuckFrames } from './adapters/stuck-frames.ts';
import { WorkIntake } from './adapters/work-intake.ts';
import { WorkerServer } from './adapters/worker-server.ts';
import { type BatcherConfig, batcherConfig } from './config.ts';
import { Cancelled } from './core/cancelled.ts';
import { Dispatcher, TICK_MS } from './core/dispatcher.ts';
import { forgetRequests, handBack, takeStrandedJobs } from './core/hand-back.ts';
import type { Mechanism } from './core/model-queues.ts';
import { OwnLevel } from './core/own-level.ts';
import type { Returned } from './core/returns.ts';
import type { Work } from './core/work.ts';
import { createBatcherTelemetry } from './telemetry.ts';

const SERVICE = 'batcher';
const MAX_MESSAGE_BYTES = 1024 * 1024; // workers send credits and ends, nothing large
const SWEEP_MS = 50;
/** Longest wait at a drain for what cannot be handed back: the rest of frames whose other requests have run. */
const FLUSH_MS = 1_000;

export type Batcher = AsyncDisposable & {
  ports: { grpc: number; health: number };
  /** Pulls no more, hands back what it holds, sends the workers elsewhere and waits for what they run. */
  drain(timeoutMs: number): Promise<void>;
};

/**
 * Resolves when ready; NATS may take as long as it wants, workers and models may come later.
 * @param clock Deadlines, run times and pauses are counted on it.
 */
export async function startBatcher(config: BatcherConfig, clock: Clock = monotonicClock): Promise<Batcher> {
  await using opening = new AsyncDisposableStack(); // a failure half-way closes what was opened, in reverse
  const { fields } = batcherConfig;
  const base = opening.use(await openService({ service: SERVICE, config, fields, healthPort: config.healthPort }));
  const { log, metrics, state, health } = base;
  const bus = opening.use(await base.connectBus());

  const ids = new RequestIds(); // unique over lives too: a worker may end a batch of the one before
  const { jobsShare, bulkShare } = config;
  const off = config.off.split(',').filter((name) => name !== '') as Mechanism[]; // the schema lets no other names pass
  const dispatcher = new Dispatcher({ clock, newBatchId: () => ids.next(), jobsShare, bulkShare, off });
  const telemetry = createBatcherTelemetry({ metrics, log, clock, dispatcher });
  const offsets = new ClockOffsets();
  const cancelled = new Cancelled(clock);

  const settleExpired = (work: readonly Work[]): void => {
    telemetry.expired(work);
    refuseExpired(bus, work, clock.now());
  };
  const settleReturned = ({ expired, abandoned, deadJobs }: Returned, why: () => SpillwayError): void => {
    if (expired.length > 0) telemetry.expired(expired);
    if (abandoned.length + deadJobs.length === 0) return; // the usual case: an error costs 30 µs
    const error = why();
    if (abandoned.length > 0) {
      telemetry.dropped('abandoned', abandoned);
      refuseRequests(bus, abandoned, error);
    }
    for (const work of deadJobs) {
      buryJob(bus, work, error).catch((err: unknown) => log.error({ err, job: work.item.job?.job }, 'a job is stuck'));
    }
  };
  const workers = new WorkerServer({
    dispatcher,
    clock,
    wake: (model) => loop.wake(model),
    onSend: telemetry.sending,
    onJoined: telemetry.joined,
    onEnded: (ended, done) => {
      telemetry.ended(ended, done);
      settleReturned(ended, () => {
        if (done.lost) {
          const text = 'the executor of the model was lost twice while it ran this request';
          return new SpillwayError('BACKEND_FAILED', text, { reason: done.errorReason || 'executor_lost' });
        }
        const text = 'the request was accepted by several workers, and none could start it';
        return new SpillwayError('UNAVAILABLE', text, { reason: 'not_started' });
      });
    },
    onLost: (worker, lost, reason) => {
      telemetry.lost(worker, lost, reason);
      const text = 'the worker was lost twice while it had this request';
      settleReturned(lost, () => new SpillwayError('BACKEND_FAILED', text, { reason: 'worker_lost' }));
    },
  });
  const loop: DispatchLoop = new DispatchLoop({
    dispatcher,
    send: (dispatch) => workers.send(dispatch),
    expired: settleExpired,
    replenish: (model) => intake.update(model),
  });
  opening.defer(() => loop.stop());
  const catalogue = watchModels({
    bus,
    replyMarginMs: config.replyMarginMs,
    onModel: (model, rules) => {
      dispatcher.setModel(model, rules);
      loop.wake(model);
    },
    onGone: (model) => loop.wake(model),
  });
  opening.defer(() => catalogue.stop());
  const intake: WorkIntake = new WorkIntake({
    bus,
    clock,
    dispatcher,
    reader: new FrameReader({ clock, offsets, cancelled, dispatcher, onInvalid: telemetry.invalid }),
    limits: { batches: config.windowBatches, bytes: config.windowBytes },
    isModel: catalogue.has,
    wake: loop.wake,
    telemetry,
  });
  opening.defer(() => intake.stop());
  listenToCancels(bus, { dispatcher, cancelled, onDropped: (work) => telemetry.dropped('cancelled', work) });
  const heartbeats = listenToHeartbeats(bus, { offsets, clock, services: ['gateway'] });
  bus.onDown(() => {
    const forgotten = forgetRequests(dispatcher, clock.now());
    if (forgotten.length > 0) telemetry.dropped('bus_down', forgotten);
  });
  const ticks = setInterval(() => {
    const { expired, suspects, withdrawn, models } = dispatcher.tick(clock.now());
    if (expired.length > 0) settleExpired(expired);
    if (suspects.length > 0) {
      telemetry.suspected(suspects, withdrawn);
      const text = 'instances of the model fell silent several times while they had this request';
      settleReturned(withdrawn, () => new SpillwayError('BACKEND_FAILED', text, { reason: 'instance_silent' }));
    }
    for (const model of models) loop.wake(model);
  }, TICK_MS);
  opening.defer(() => clearInterval(ticks));
  const lag = opening.use(watchLoopLag());
  const own = new OwnLevel();
  const sweep = setInterval(() => {
    dispatcher.frames.extend();
    intake.sweep();
    heartbeats.prune();
    const { used_heap_size, heap_size_limit } = getHeapStatistics();
    own.observe(lag.maxMs(), used_heap_size / heap_size_limit, clock.now());
    lag.reset();
  }, SWEEP_MS);
  opening.defer(() => clearInterval(sweep));
  opening.use(
    exchangeLoad({
      bus,
      clock,
      dispatcher,
      epoch: Math.floor(wallClock.epochMs() / 1_000),
      random: Math.random,
      level: () => own.level,
      isModel: catalogue.has,
      refresh: () => intake.observeEmpty(),
    }),
  );

  opening.use(publishRunningJobs(bus, dispatcher.inFlight));
  opening.use(
    rescueStuckFrames({
      bus,
      onRescued: (facts) => log.warn(facts, 'a frame was delivered for the last time in vain, and is sent again'),
      onFault: (err) => log.warn({ err }, 'a frame that is delivered no more could not be sent again'),
    }),
  );
  const grpc = opening.use(
    await startGrpcServer({
      host: config.host,
      port: config.grpcPort,
      services: [workers.service],
      maxReceiveBytes: MAX_MESSAGE_BYTES,
    }),
  );
  const address = `${config.advertiseHost || config.host}:${grpc.port}`;
  state.set('ready');
  grpc.setServing(true);
  const lease = opening.use(base.announce(bus, () => ({ address })));
  log.info({ address, health_port: health.port }, 'serving');

  const open = opening.move();
  const drain = async (timeoutMs: number): Promise<void> => {
    const endMs = clock.now() + timeoutMs;
    const leftMs = () => Math.max(0, endMs - clock.now());
    state.set('draining');
    grpc.setServing(false);
    lease.refresh();
    dispatcher.draining = true;
    await intake.stop();
    const models = [...dispatcher.models()];
    for (const [model] of models) {
      handBack(dispatcher, model, 'untouched');
      loop.wake(model); // the rest of what was begun leaves from here
    }
    const waiting = () => models.some(([, queues]) => !queues.requests.empty || !queues.jobs.empty);
    await until(() => !waiting(), Math.min(FLUSH_MS, leftMs() / 2));
    for (const [model] of models) handBack(dispatcher, model, 'all');
    const stranded = models.flatMap(([model]) => takeStrandedJobs(dispatcher, model));
    const reissued = Promise.allSettled(stranded.map((work) => reissueJob(bus, work)));
    workers.sendDrain();
    await until(() => dispatcher.inFlight.size === 0, leftMs());
    if (dispatcher.inFlight.size > 0 || waiting()) {
      log.warn({ batches: dispatcher.inFlight.size }, 'batches or requests were abandoned');
    }
    await reissued;
    workers.closeAll();
    await grpc.drain(Math.min(1_000, leftMs()));
  };
  return {
    ports: { grpc: grpc.port, health: health.port },
    drain,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** Resolves when `condition` holds, or after `timeoutMs`. */
async function until(condition: () => boolean, timeoutMs: number): Promise<void> {
  const endMs = monotonicClock.now() + timeoutMs;
  while (!condition() && monotonicClock.now() < endMs) await delay(5);
}
