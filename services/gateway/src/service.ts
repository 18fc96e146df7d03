import { setTimeout as delay } from 'node:timers/promises';
import { connectBus } from '@spillway/bus/connect';
import { keepLease } from '@spillway/bus/leases';
import { replyFrameCodec } from '@spillway/contracts/messages';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { monotonicClock, wallClock } from '@spillway/lifecycle/clock';
import { serveHealth } from '@spillway/lifecycle/health';
import { RequestIds } from '@spillway/lifecycle/ids';
import { StateMachine } from '@spillway/lifecycle/states';
import { createLogger } from '@spillway/telemetry/logger';
import { createMetrics } from '@spillway/telemetry/metrics';
import { startTelemetry } from '@spillway/telemetry/start';
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
import { loadKeys } from './adapters/key-store.ts';
import { watchModels } from './adapters/model-catalogue.ts';
import type { GatewayConfig } from './config.ts';
import { Pipeline } from './core/pipeline.ts';
import { observeEvents, observeRequests } from './telemetry.ts';

const away = (): SpillwayError =>
  new SpillwayError('UNAVAILABLE', 'the message bus is away', { reason: 'bus', retryAfterMs: 1_000 });
const draining = (): SpillwayError =>
  new SpillwayError('UNAVAILABLE', 'this gateway is shutting down', { reason: 'draining', retryAfterMs: 500 });

/** Time for a balancer to notice that readiness is off before the listener closes. */
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
  const log = createLogger({ service: 'gateway', instance: config.instance, level: config.logLevel });
  const metrics = createMetrics('gateway');
  opening.use(
    await startTelemetry({ service: 'gateway', instance: config.instance, otlpEndpoint: config.otlpEndpoint }),
  );
  const state = new StateMachine();
  state.onChange((to, from) => log.info({ from, to }, 'state changed'));
  const waitingFor = new Set(['nats']);
  const health = opening.use(
    await serveHealth({
      host: config.host,
      port: config.metricsPort,
      metrics: () => metrics.render(),
      state,
      waitingFor: () => [...waitingFor],
    }),
  );
  const keys = loadKeys(config.keysFile, { allowAnonymous: config.allowAnonymous, epochMs: wallClock.epochMs });
  const bus = opening.use(
    await connectBus({
      url: config.natsUrl,
      service: 'gateway',
      instance: config.instance,
      onFact: ({ what, ...facts }) => log.info(facts, what),
    }),
  );
  waitingFor.delete('nats');
  const catalogue = watchModels(bus, clock);
  opening.defer(() => catalogue.stop());
  waitingFor.add('catalogue');
  await catalogue.loaded;
  waitingFor.delete('catalogue');
  const cache = opening.use(cacheClient({ bus, clock }));
  const features = opening.use(featureClient({ bus, clock }));
  const cancels = cancelPublisher(bus);

  const pacer = new FramePacer(() => pipeline.flush().map(publisher.publish));
  const pipeline: Pipeline = new Pipeline(
    {
      clock,
      model: (name) => catalogue.get(name),
      cacheGet: cache.get,
      cachePut: cache.put,
      fetchFeatures: features.fetch,
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
  const publisher = framePublisher({ bus, clock, replyTo: inbox, fail: (seq, error) => pipeline.fail(seq, error) });
  opening.use(startDeadlineTimer(pipeline));
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
  });
  const context: DoorContext = {
    clock,
    ids: new RequestIds(),
    keys,
    pipeline,
    catalogue,
    observer,
    maxBodyBytes: config.maxBodyBytes,
    isReady: () => state.get() === 'ready' && bus.up,
  };
  const http = opening.use(
    await openHttpDoor(context, {
      host: config.host,
      port: config.httpPort,
      maxRequestsPerSocket: config.maxRequestsPerSocket,
    }),
  );
  const grpc = opening.use(await openGrpcDoor(context, { host: config.host, port: config.grpcPort }));
  const eventsObserver = observeEvents({ log, metrics });
  const events = opening.use(new EventsDoor(context, { bus, epochMs: wallClock.epochMs, observer: eventsObserver }));
  state.set('ready');
  const lease = keepLease(bus, () => ({
    service: 'gateway',
    instance: config.instance,
    address: '',
    state: state.get() === 'ready' ? 'ready' : 'draining',
  }));
  opening.defer(() => lease.release());
  grpc.setServing(true);
  log.info({ http_port: http.port, grpc_port: grpc.port, metrics_port: health.port }, 'doors are open');

  const open = opening.move();
  const drain = async (timeoutMs: number): Promise<void> => {
    state.set('draining');
    grpc.setServing(false);
    await delay(Math.min(NOTICE_MS, timeoutMs));
    const leftMs = Math.max(0, timeoutMs - NOTICE_MS);
    // Each finishes what is in flight and accepts nothing new.
    await Promise.all([http.drain(leftMs), grpc.drain(leftMs), events.drain(leftMs)]);
    pipeline.refuse(draining());
    pipeline.failAll(draining());
  };
  const ports = { http: http.port, grpc: grpc.port, metrics: health.port };
  return { ports, drain, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
