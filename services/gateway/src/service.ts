import { setTimeout as delay } from 'node:timers/promises';
import { away } from '@spillway/bus/connect';
import { watchLeases } from '@spillway/bus/leases';
import { classRank } from '@spillway/contracts/classes';
import { replyFrameCodec } from '@spillway/contracts/messages';
import { monotonicClock, wallClock } from '@spillway/lifecycle/clock';
import { RequestIds } from '@spillway/lifecycle/ids';
import { openService } from '@spillway/service/open-service';
import { cacheClient } from './adapters/cache-client.ts';
import { cancelPublisher } from './adapters/cancel-publisher.ts';
import { startDeadlineTimer } from './adapters/deadline-timer.ts';
import type { DoorContext } from './adapters/door-context.ts';
import { EventsDoor } from './adapters/events-door.ts';
import { featureClient } from './adapters/feature-client.ts';
import { FramePacer } from './adapters/frame-pacer.ts';
import { framePublisher } from './adapters/frame-publisher.ts';
import { openGrpcDoor } from './adapters/grpc-door.ts';
import { openHttpDoor } from './adapters/http-door.ts';
import { IdempotentCalls } from './adapters/idempotent-calls.ts';
import { jobDesk } from './adapters/job-desk.ts';
import { loadKeys, watchKeys } from './adapters/key-store.ts';
import { watchLevers } from './adapters/lever-store.ts';
import { exchangeLoad } from './adapters/load-exchange.ts';
import { watchModels } from './adapters/model-catalogue.ts';
import { modelControl } from './adapters/model-control.ts';
import { rehearse } from './adapters/rehearsal.ts';
import { listenToRunningJobs } from './adapters/running-jobs.ts';
import { watchSelf } from './adapters/self-watch.ts';
import { exchangeStatistics } from './adapters/statistics-exchange.ts';
import { StuckJobs } from './adapters/stuck-jobs.ts';
import { watchTlsFiles } from './adapters/tls-files.ts';
import { type GatewayConfig, gatewayConfig } from './config.ts';
import { Admission } from './core/admission/admission.ts';
import type { Mechanism } from './core/admission/settings.ts';
import { JobQuota } from './core/job-quota.ts';
import { ModelStatistics } from './core/model-statistics.ts';
import { Pipeline } from './core/pipeline.ts';
import { shuttingDown } from './core/refusal.ts';
import { observeAdmission, observeEvents, observeRequests } from './telemetry.ts';

const SERVICE = 'gateway';
/** Time for a balancer to notice that readiness is off before streams are ended and events left alone; HTTP waits until callers have noticed. */
const NOTICE_MS = 200;

export type Gateway = {
  ports: { http: number; grpc: number; metrics: number };
  drain(timeoutMs: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Connects outward, listens last. Everything opened is closed in reverse order, also when a step fails. */
export async function startGateway(config: GatewayConfig): Promise<Gateway> {
  await using opening = new AsyncDisposableStack();
  const clock = monotonicClock;
  const { fields } = gatewayConfig;
  const base = opening.use(await openService({ service: SERVICE, config, fields, healthPort: config.metricsPort }));
  const { log, metrics, state, health, waitingFor } = base;
  const tls = watchTlsFiles({
    files: { cert: config.tlsCert, key: config.tlsKey, clientCa: config.tlsClientCa },
    reloadMs: config.tlsReloadMs,
    onReload: () => log.info('TLS files have changed and count for new connections'),
    onFault: (err) => log.error({ err }, 'changed TLS files do not fit; the former ones stay'),
  });
  if (tls !== undefined) opening.use(tls);
  const rehearsed = rehearse(config.rehearsalRequests, clock);
  rehearsed.catch(() => undefined); // looked at before the doors open
  const keys = loadKeys(config.keysFile, { allowAnonymous: config.allowAnonymous, epochMs: wallClock.epochMs });
  const bus = opening.use(await base.connectBus());
  const workers = watchLeases(bus, 'gpu-worker', clock); // one watch: what is ready can be commanded, too
  opening.defer(() => workers.stop());
  const catalogue = watchModels(bus, workers);
  opening.defer(() => catalogue.stop());
  waitingFor.add('catalogue');
  await catalogue.loaded;
  waitingFor.delete('catalogue');
  // Two sets of streams: look-ups of lower classes that pile up on a connection must not hold up those of vip.
  const peers = { bus, clock, maxInFlight: config.maxInFlight };
  const caches = { vip: opening.use(cacheClient(peers)), others: opening.use(cacheClient(peers)) };
  const features = { vip: opening.use(featureClient(peers)), others: opening.use(featureClient(peers)) };
  const cancels = cancelPublisher(bus);
  const admission = new Admission({
    instance: config.instance,
    random: Math.random,
    nowMs: clock.now(),
    settings: { off: config.admissionOff.split(',').filter((part) => part !== '') as Mechanism[] },
  });
  for (const record of keys.records()) admission.setKey(record);
  const keyWatch = watchKeys(bus, {
    onKey: (record) => {
      if (keys.set(record)) admission.setKey(record);
    },
    onGone: (id) => {
      if (keys.remove(id)) admission.removeKey(id);
    },
    onFault: (key, err) => log.warn({ key, err }, 'a key cannot be read and is not served'),
  });
  opening.defer(() => keyWatch.stop());
  const leverWatch = watchLevers(bus, {
    wallClock,
    onLevers: (levers) => {
      log.info({ levers: levers.map(({ id, kind }) => `${kind} ${id}`) }, 'levers changed');
      admission.setLevers(levers, wallClock.epochMs(), clock.now());
    },
    onFault: (lever) => log.warn({ lever }, 'a lever cannot be read and has no effect'),
  });
  opening.defer(() => leverWatch.stop());
  const control = opening.use(
    modelControl({
      ...{ bus, workers, wallClock, catalogue, limitMs: config.modelControlLimitMs },
      onFault: (err) => log.warn({ err }, 'a command for a model is on no record'),
    }),
  );
  waitingFor.add('keys');
  await Promise.all([keyWatch.loaded, leverWatch.loaded, control.loaded]);
  waitingFor.delete('keys');
  catalogue.onChange((model, record) => {
    if (record === undefined) admission.removeModel(model);
    else admission.setModel(record);
  });

  const counted = new ModelStatistics();
  const statistics = opening.use(exchangeStatistics({ bus, clock, wallClock, counted }));
  const pacer = new FramePacer(() => pipeline.flush().map(publisher.publish));
  const pipeline: Pipeline = new Pipeline(
    {
      clock,
      model: (name) => catalogue.get(name),
      admission,
      statistics: counted,
      cacheGet: (lookup, found) => (lookup.trafficClass === 'vip' ? caches.vip : caches.others).get(lookup, found),
      cachePut: caches.others.put,
      fetchFeatures: (want, done) => (want.trafficClass === 'vip' ? features.vip : features.others).fetch(want, done),
      flushSoon: () => pacer.flushSoon(),
      cancelled: cancels.cancel,
    },
    { maxInFlight: config.maxInFlight, maxFrameBytes: config.maxFrameBytes },
  );
  const inbox = bus.inbox();
  bus.subscribe(inbox, (message) => {
    try {
      pipeline.onReply(replyFrameCodec.decode(message.payload));
    } catch (error) {
      log.error({ err: error }, 'a reply could not be read'); // its requests end at their deadlines
    }
  });
  const publisher = framePublisher({
    bus,
    clock,
    replyTo: inbox,
    fail: (seq, error) => pipeline.fail(seq, error),
    full: ({ model, trafficClass }) => admission.streamFull(model, classRank(trafficClass), clock.now()),
  });
  opening.use(startDeadlineTimer(pipeline));
  const self = opening.use(watchSelf(clock, admission));
  // Seconds of the wall clock: a later life of this instance has a higher one, unless the clock was set back by more than it lived.
  const epoch = Math.floor(wallClock.epochMs() / 1_000);
  opening.use(exchangeLoad({ bus, clock, admission, epoch, random: Math.random }));
  bus.onDown(() => {
    pipeline.refuse(away());
    pipeline.failAll(away());
  });
  bus.onUp(() => {
    if (state.get() !== 'draining') pipeline.refuse(undefined);
  });

  const observer = observeRequests({
    clock,
    log,
    metrics,
    tracesPerSecond: config.tracesPerSecond,
    traceRatio: config.traceRatio,
    isModel: (name) => catalogue.get(name) !== undefined,
    effects: admission.effects,
  });
  observeAdmission(metrics, admission);
  const jobs = jobDesk({ bus, clock, epochMs: wallClock.epochMs, running: listenToRunningJobs(bus, clock) });
  const { epochMs } = wallClock;
  const context: DoorContext = {
    clock,
    ids: new RequestIds(),
    keys,
    pipeline,
    admission,
    catalogue,
    statistics,
    control,
    observer,
    jobQuota: new JobQuota(admission, Math.random),
    jobs,
    keyed: new IdempotentCalls({ bus, clock, epochMs, pipeline, jobs, maxCallers: config.maxInFlight }),
    maxBodyBytes: config.maxBodyBytes,
    isReady: () => state.get() === 'ready' && bus.up && self.inTime,
  };
  await rehearsed;
  const http = opening.use(
    await openHttpDoor(context, {
      host: config.host,
      port: config.httpPort,
      maxRequestsPerSocket: config.maxRequestsPerSocket,
      effects: admission.effects,
      tls,
    }),
  );
  const grpc = opening.use(await openGrpcDoor(context, { host: config.host, port: config.grpcPort, tls }));
  const eventsObserver = observeEvents({ log, metrics });
  const events = opening.use(new EventsDoor(context, { bus, epochMs: wallClock.epochMs, observer: eventsObserver }));
  opening.use(
    new StuckJobs({
      bus,
      epochMs: wallClock.epochMs,
      onEnded: (facts) => log.warn(facts, 'a job was ended that nobody could end'),
      onFault: (err) => log.warn({ err }, 'stuck jobs could not be ended yet'),
    }),
  );
  state.set('ready');
  opening.use(base.announce(bus, () => ({ address: '' })));
  grpc.setServing(true);
  log.info({ http_port: http.port, grpc_port: grpc.port, metrics_port: health.port }, 'doors are open');

  const open = opening.move();
  const drain = async (timeoutMs: number): Promise<void> => {
    state.set('draining');
    grpc.setServing(false);
    const noticed = delay(Math.min(NOTICE_MS, timeoutMs));
    const leftMs = Math.max(0, timeoutMs - NOTICE_MS);
    // Each finishes what is in flight and accepts nothing new.
    await Promise.all([
      http.drain(timeoutMs),
      noticed.then(() => grpc.drain(leftMs)),
      noticed.then(() => events.drain(leftMs)),
    ]);
    pipeline.refuse(shuttingDown());
    pipeline.failAll(shuttingDown());
  };
  const ports = { http: http.port, grpc: grpc.port, metrics: health.port };
  return { ports, drain, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
