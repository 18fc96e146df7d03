import { DiagLogLevel, diag } from '@opentelemetry/api';
import { createLogger, type Logger } from './logger.ts';
import { ATTRIBUTES } from './names.ts';
import { installSink } from './span-sink.ts';

export type TelemetryOptions = {
  /** `gateway`, `batcher`, …: the span's `service.name`. */
  service: string;
  /** Unique among the instances of the service. */
  instance: string;
  /** Base URL of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`; '' exports nothing and loads no SDK. */
  otlpEndpoint: string;
  /** Gets at most one warning a minute when spans cannot be delivered. */
  logger?: Pick<Logger, 'warn'>;
  /** Dispose waits no longer than this for a receiver that does not answer. Default: 2 000. */
  closeTimeoutMs?: number;
};

/** Spans held while the receiver is slow or away; then new ones are dropped. About 10 MB. */
const MAX_QUEUE = 8_192;
const MAX_BATCH = 512;
const DELAY_MS = 1_000;
/** One try with its repeats: a receiver that is away for longer costs a batch, not memory. */
const EXPORT_TIMEOUT_MS = 3_000;
const CLOSE_TIMEOUT_MS = 2_000;
const WARN_EVERY_MS = 60_000;

/**
 * Starts exporting what `spans.ts` records: batched, by OTLP as protobuf over HTTP, to `<endpoint>/v1/traces`. The
 * exporter also reads OpenTelemetry's own variables for what is not given here (`OTEL_EXPORTER_OTLP_HEADERS`, TLS).
 * A failed export never disturbs the service. Dispose flushes.
 * @throws TypeError when `otlpEndpoint` is no URL.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<AsyncDisposable> {
  const { service, instance, otlpEndpoint, closeTimeoutMs = CLOSE_TIMEOUT_MS } = options;
  if (otlpEndpoint === '') return { [Symbol.asyncDispose]: async () => {} };
  const url = new URL(`${otlpEndpoint.replace(/\/+$/, '')}/v1/traces`).href;
  const [{ BatchSpanProcessor }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
  ]);
  reportRarely(options.logger ?? createLogger({ service, instance, level: 'warn' }), url);
  const processor = new BatchSpanProcessor({
    exporter: new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS }),
    maxQueueSize: MAX_QUEUE,
    maxExportBatchSize: MAX_BATCH,
    scheduledDelayMillis: DELAY_MS,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS + 1_000,
  });
  const uninstall = installSink({
    resource: resourceFromAttributes({
      [ATTRIBUTES.serviceName]: service,
      [ATTRIBUTES.serviceInstance]: instance,
      [ATTRIBUTES.processId]: process.pid,
    }),
    scope: { name: 'spillway' },
    accept: (span) => processor.onEnd(span),
  });
  return {
    [Symbol.asyncDispose]: async () => {
      uninstall();
      await within(closeTimeoutMs, processor.shutdown());
    },
  };
}

/** The SDK reports each failed export and each drop to a logger of the whole process; one line a minute is enough. */
function reportRarely(logger: Pick<Logger, 'warn'>, endpoint: string): void {
  let warnedAtMs = Number.NEGATIVE_INFINITY;
  const warn = (reason: unknown) => {
    const nowMs = performance.now();
    if (nowMs - warnedAtMs < WARN_EVERY_MS) return;
    warnedAtMs = nowMs;
    logger.warn({ endpoint, reason: messageOf(reason) }, 'spans could not be exported; requests are not affected');
  };
  const silent = () => {};
  diag.setLogger(
    { error: warn, warn, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

/** The SDK hands over an error as JSON with its stack, or a plain text. */
function messageOf(reason: unknown): string {
  const text = String(reason);
  return (/"message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text).slice(0, 256);
}

/** Ends after `ms` or with `work`, whichever is first, and never fails: what is lost are spans. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work.catch(() => {}), timeout]);
  clearTimeout(timer);
}
