import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { keepLease } from '@spillway/bus/leases';
import type { Fields } from '@spillway/config/field';
import { redact } from '@spillway/config/redact';
import type { Lease, ServiceName } from '@spillway/contracts/buckets';
import { type HealthServer, serveHealth } from '@spillway/lifecycle/health';
import { StateMachine } from '@spillway/lifecycle/states';
import { createLogger, type Logger, type LogLevel } from '@spillway/telemetry/logger';
import { createMetrics, type Metrics } from '@spillway/telemetry/metrics';
import { startTelemetry } from '@spillway/telemetry/start';

/** Of a service's configuration, what its process needs. */
type ProcessConfig = Readonly<Record<string, unknown>> & {
  readonly instance: string;
  readonly logLevel: LogLevel;
  readonly otlpEndpoint: string;
  readonly natsUrl: string;
  readonly host: string;
};

export type OpenServiceOptions = {
  service: ServiceName;
  config: ProcessConfig;
  /** Of the configuration; they say what is secret. */
  fields: Fields;
  /** Of `/livez`, `/readyz` and `/metrics`, on the configuration's host. */
  healthPort: number;
  /** What the first line of the log says beside the configuration. */
  facts?: Record<string, unknown>;
};

/** What a registry entry says beside name and state. */
export type Announcement = Omit<Lease, 'service' | 'instance' | 'state'>;

/** What every service stands on: it is live from here on, and not ready before it says so. */
export type OpenService = AsyncDisposable & {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly state: StateMachine;
  readonly health: HealthServer;
  /** What a service that is not ready lacks, as `/readyz` says it. */
  readonly waitingFor: Set<string>;
  /** As a listener of facts about a connection: each becomes a line of the log. */
  readonly onFact: (fact: { what: string }) => void;
  /** Waits for NATS however long it takes. The caller closes it. */
  connectBus(): Promise<Bus>;
  /** Keeps this instance in the registry until it is disposed of; `refresh` writes what has changed at once. */
  announce(bus: Bus, say: () => Announcement): AsyncDisposable & { refresh(): void };
};

/** Logs the configuration, exports spans, serves metrics and health. Disposing of it is the end of the service: `stopped`. */
export async function openService(options: OpenServiceOptions): Promise<OpenService> {
  const { service, config } = options;
  const { instance } = config;
  const log = createLogger({ service, instance, level: config.logLevel });
  const state = new StateMachine();
  state.onChange((to, from) => log.info({ from, to }, 'state changed'));
  log.info({ config: redact(options.fields, config), ...options.facts }, 'starting');

  await using opening = new AsyncDisposableStack(); // a failure half-way closes what was opened, in reverse
  opening.defer(() => {
    if (state.get() !== 'failed') state.set('stopped');
  });
  opening.use(await startTelemetry({ service, instance, otlpEndpoint: config.otlpEndpoint, logger: log }));
  const metrics = createMetrics(service);
  const waitingFor = new Set(['nats']);
  const health = opening.use(
    await serveHealth({
      host: config.host,
      port: options.healthPort,
      metrics: metrics.render,
      state,
      waitingFor: () => [...waitingFor],
    }),
  );
  const onFact = ({ what, ...facts }: { what: string }) => log.info(facts, what);

  const open = opening.move();
  return {
    log,
    metrics,
    state,
    health,
    waitingFor,
    onFact,
    connectBus: async () => {
      const bus = await connectBus({ url: config.natsUrl, service, instance, onFact });
      bus.onUp(() => waitingFor.delete('nats'));
      bus.onDown(() => waitingFor.add('nats'));
      return bus;
    },
    announce: (bus, say) => {
      const lease = keepLease(bus, () => ({
        service,
        instance,
        state: state.get() === 'ready' ? 'ready' : 'draining',
        ...say(),
      }));
      return { refresh: lease.refresh, [Symbol.asyncDispose]: lease.release };
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
