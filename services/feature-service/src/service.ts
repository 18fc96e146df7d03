import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectBus } from '@spillway/bus/connect';
import { keepLease } from '@spillway/bus/leases';
import { redact } from '@spillway/config/redact';
import { monotonicClock, wallClock } from '@spillway/lifecycle/clock';
import { serveHealth } from '@spillway/lifecycle/health';
import { InFlight } from '@spillway/lifecycle/in-flight';
import { StateMachine } from '@spillway/lifecycle/states';
import { startGrpcServer } from '@spillway/rpc/server';
import { createLogger } from '@spillway/telemetry/logger';
import { createMetrics } from '@spillway/telemetry/metrics';
import { startTelemetry } from '@spillway/telemetry/start';
import { FetchHandler } from './adapters/fetch-handler.ts';
import { featuresService } from './adapters/grpc-server.ts';
import { openSources } from './adapters/sources.ts';
import { ViewFetcher } from './adapters/view-fetcher.ts';
import { loadViews } from './adapters/view-files.ts';
import { type FeatureServiceConfig, featureServiceConfig, SERVICE_DIR } from './config.ts';
import { createFetchTelemetry } from './telemetry.ts';

const SERVICE = 'feature-service';
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const MAX_VIEWS = 16; // in one fetch
const MAX_VALUES = 1024 * 1024; // in one answer: 5 MiB
const MAX_ROUND_TRIPS = 4; // of one view at once
/** From the changed lease to the last gateway that has heard of it. */
const NOTICE_MS = 250;

export type FeatureService = AsyncDisposable & {
  ports: { grpc: number; health: number };
  /** Takes no new work, answers what is in flight, then hangs up. */
  drain(timeoutMs: number): Promise<void>;
};

/** Resolves when ready: NATS must have been there, the sources need not. @throws ConfigError for faults in view files. */
export async function startFeatureService(config: FeatureServiceConfig): Promise<FeatureService> {
  const views = await loadViews(resolve(SERVICE_DIR, config.viewsDir));
  const { instance } = config;
  const logger = createLogger({ service: SERVICE, instance, level: config.logLevel });
  const state = new StateMachine();
  state.onChange((to, from) => logger.info({ from, to }, 'state changed'));
  logger.info({ config: redact(featureServiceConfig.fields, config), views: [...views.keys()] }, 'starting');

  await using opening = new AsyncDisposableStack(); // a failure half-way closes what was opened, in reverse
  opening.use(await startTelemetry({ service: SERVICE, instance, otlpEndpoint: config.otlpEndpoint, logger }));
  const metrics = createMetrics(SERVICE);
  let busIsUp = false;
  const health = opening.use(
    await serveHealth({
      host: config.host,
      port: config.healthPort,
      metrics: metrics.render,
      state,
      waitingFor: () => (busIsUp ? [] : ['nats']),
    }),
  );
  const onFact = ({ what, ...fields }: { what: string }) => logger.info(fields, what);
  const bus = opening.use(await connectBus({ url: config.natsUrl, service: SERVICE, instance, onFact }));
  bus.onUp(() => {
    busIsUp = true;
  });
  bus.onDown(() => {
    busIsUp = false;
  });

  const telemetry = createFetchTelemetry(metrics, logger, monotonicClock);
  const sources = opening.use(await openSources([...views.values()], config, monotonicClock, onFact));
  const fetchers = new Map<string, ViewFetcher>();
  for (const view of views.values()) {
    const { source, breaker } = sources.of(view);
    const rules = { windowMs: config.mergeWindowMs, maxEntities: config.maxEntities, maxInFlight: MAX_ROUND_TRIPS };
    const options = { view, source, breaker, clock: monotonicClock, wallClock, rules, onTrip: telemetry.trip };
    fetchers.set(view.view, opening.use(new ViewFetcher(options)));
  }
  const inFlight = new InFlight();
  const limits = { maxEntities: config.maxEntities, maxViews: MAX_VIEWS, maxValues: MAX_VALUES };
  const handler = new FetchHandler({ fetchers, limits, clock: monotonicClock, inFlight, telemetry });
  const features = featuresService(handler, config.maxUnsentBytes);
  const grpc = opening.use(
    await startGrpcServer({
      host: config.host,
      port: config.grpcPort,
      services: [features],
      maxReceiveBytes: MAX_MESSAGE_BYTES,
    }),
  );
  const address = `${config.advertiseHost || reachable(config.host)}:${grpc.port}`;
  state.set('ready');
  grpc.setServing(true);
  const lease = keepLease(bus, () => ({
    service: SERVICE,
    instance,
    address,
    state: state.get() === 'ready' ? 'ready' : 'draining',
  }));
  opening.defer(() => lease.release());
  logger.info({ address, health_port: health.port }, 'serving');

  const open = opening.move();
  const drain = async (timeoutMs: number) => {
    const endMs = monotonicClock.now() + timeoutMs;
    const leftMs = () => Math.max(0, endMs - monotonicClock.now());
    state.set('draining');
    grpc.setServing(false);
    lease.refresh();
    await delay(Math.min(NOTICE_MS, timeoutMs));
    if (!(await inFlight.idle(leftMs()))) logger.warn({ abandoned: inFlight.count }, 'fetches were abandoned');
    for (const stream of features.streams) stream.close();
    await grpc.drain(Math.min(1_000, leftMs()));
  };
  return {
    ports: { grpc: grpc.port, health: health.port },
    drain,
    [Symbol.asyncDispose]: async () => {
      await open.disposeAsync();
      state.set('stopped');
    },
  };
}

/** An address that others can call: that of "every interface" leads nowhere. */
const reachable = (host: string): string => (host === '0.0.0.0' || host === '::' ? hostname() : host);
