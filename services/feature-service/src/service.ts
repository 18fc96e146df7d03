import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicClock, wallClock } from '@spillway/lifecycle/clock';
import { InFlight } from '@spillway/lifecycle/in-flight';
import { startGrpcServer } from '@spillway/rpc/server';
import { callableAt } from '@spillway/service/address';
import { openService } from '@spillway/service/open-service';
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
  await using opening = new AsyncDisposableStack(); // a failure half-way closes what was opened, in reverse
  const { fields } = featureServiceConfig;
  const base = opening.use(
    await openService({
      service: SERVICE,
      config,
      fields,
      healthPort: config.healthPort,
      facts: { views: [...views.keys()] },
    }),
  );
  const { log, metrics, state, health, onFact } = base;
  const bus = opening.use(await base.connectBus());

  const telemetry = createFetchTelemetry(metrics, log, monotonicClock);
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
  const address = callableAt(config, grpc.port);
  state.set('ready');
  grpc.setServing(true);
  const lease = opening.use(base.announce(bus, () => ({ address })));
  log.info({ address, health_port: health.port }, 'serving');

  const open = opening.move();
  const drain = async (timeoutMs: number) => {
    const endMs = monotonicClock.now() + timeoutMs;
    const leftMs = () => Math.max(0, endMs - monotonicClock.now());
    state.set('draining');
    grpc.setServing(false);
    lease.refresh();
    await delay(Math.min(NOTICE_MS, timeoutMs));
    if (!(await inFlight.idle(leftMs()))) log.warn({ abandoned: inFlight.count }, 'fetches were abandoned');
    for (const stream of features.streams) stream.close();
    await grpc.drain(Math.min(1_000, leftMs()));
  };
  return {
    ports: { grpc: grpc.port, health: health.port },
    drain,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
