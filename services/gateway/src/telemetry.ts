import { CLASSES } from '@spillway/contracts/classes';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Logger } from '@spillway/telemetry/logger';
import { counterOf, gaugeOf, histogramOf, type Metrics } from '@spillway/telemetry/metrics';
import { ATTRIBUTES, METRICS, type MetricSpec, prometheusName, SPANS } from '@spillway/telemetry/names';
import { parseTraceparent } from '@spillway/telemetry/propagation';
import { TraceSampler } from '@spillway/telemetry/sampler';
import { childTraceparent, recordSpan } from '@spillway/telemetry/spans';
import type { Effects, ModelFacts } from './core/admission/types.ts';
import { rungOf } from './core/receipt.ts';
import type { InferRequest, Receipt } from './core/request.ts';

export type Door = 'http' | 'grpc' | 'events';

/** What is known of a request when it ends; `request` is missing if it failed before it became one. */
export type Ending = {
  door: Door;
  parent: string;
  traceparent: string;
  startMs: number;
  requestId: string;
  request?: Pick<InferRequest, 'tenant' | 'trafficClass' | 'model' | 'tracestate'> | undefined;
  receipt?: Receipt | undefined;
  error?: SpillwayError | undefined;
};

export type RequestObserver = {
  /** @returns The traceparent of the request's own span; empty: not sampled. */
  begin(parent: string): string;
  /** Metrics always; a span if sampled or failed; a line in the log if sampled or failed (debug: always). */
  end(ending: Ending): void;
};

export type EventsObserver = {
  /** An event was handed back, to be tried again. */
  delayed(error: SpillwayError): void;
};

/** Metrics that only this service has. */
const EVENTS_DELAYED: MetricSpec<'code' | 'reason'> = {
  kind: 'counter',
  otelName: 'spillway.events.delayed',
  name: prometheusName('spillway.events.delayed', 'requests', 'counter'),
  unit: 'requests',
  help: 'Events that were handed back to be tried again, by what kept them from becoming a job',
  labels: ['code', 'reason'],
  buckets: [],
};

export function observeEvents({ log, metrics }: { log: Logger; metrics: Metrics }): EventsObserver {
  const counter = counterOf(metrics, EVENTS_DELAYED);
  return {
    delayed: (error) => {
      const { code, reason = 'none' } = error;
      counter.inc({ code, reason });
      if (code === 'INTERNAL') log.error({ code, err: error }, 'event delayed');
      else log.debug({ code, reason, detail: error.message }, 'event delayed');
    },
  };
}

const gauge = <L extends string>(otelName: string, unit: MetricSpec['unit'], help: string, labels: readonly L[]) =>
  ({
    kind: 'gauge',
    otelName,
    name: prometheusName(otelName, unit, 'gauge'),
    unit,
    help,
    labels,
    buckets: [],
  }) as const;

const ADMISSION = {
  capacity: gauge('spillway.admission.capacity', '1', 'Instances that the model is believed to keep busy', ['model']),
  wait: gauge('spillway.admission.wait', 's', 'Predicted wait of a new request', ['model', 'class']),
  offered: gauge('spillway.admission.offered', '1', 'Load offered to this gateway, in instances', ['model', 'class']),
  admitted: gauge('spillway.admission.admitted', '1', 'Load admitted by this gateway, in instances', [
    'model',
    'class',
  ]),
  lighter: gauge('spillway.admission.lighter', '1', 'Share of eligible requests that get a lighter variant', ['model']),
  level: gauge('spillway.brownout.level', '1', 'Level of brown-out, 0 to 4', ['model']),
  guard: gauge(
    'spillway.admission.guard',
    '1',
    "Share of requests that the guard of the gateway's processor lets on",
    [],
  ),
} as const;

/** What admission believed at its last tick, read when the metrics are. */
export function observeAdmission(
  metrics: Metrics,
  admission: { facts(): readonly ModelFacts[]; readonly guard: number },
): void {
  const byModel = (spec: (typeof ADMISSION)['capacity' | 'lighter' | 'level'], value: (model: ModelFacts) => number) =>
    gaugeOf(metrics, spec, (series) => {
      series.reset();
      for (const facts of admission.facts()) series.set({ model: facts.model }, value(facts));
    });
  const byClass = (
    spec: (typeof ADMISSION)['wait' | 'offered' | 'admitted'],
    value: (facts: ModelFacts['classes'][number]) => number,
  ) =>
    gaugeOf(metrics, spec, (series) => {
      series.reset();
      for (const { model, classes } of admission.facts()) {
        for (const [rank, facts] of classes.entries()) {
          series.set({ model, class: CLASSES[rank] ?? 'other' }, value(facts));
        }
      }
    });
  byModel(ADMISSION.capacity, ({ capacity }) => capacity);
  byModel(ADMISSION.lighter, ({ lighterShare }) => lighterShare);
  byModel(ADMISSION.level, ({ level }) => level);
  byClass(ADMISSION.wait, ({ queueMs }) => queueMs / 1_000);
  byClass(ADMISSION.offered, ({ offered }) => offered);
  byClass(ADMISSION.admitted, ({ admitted }) => admitted);
  gaugeOf(metrics, ADMISSION.guard, (series) => series.set({}, admission.guard));
}

/** A failure that nobody sampled still gets one span; a flood of failures must not become a flood of spans. */
const FAILURES_PER_SECOND = 20;
const CLIENT_SAMPLED_PER_SECOND = 100;

export function observeRequests(options: {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  tracesPerSecond: number;
  traceRatio: number;
  isModel: (name: string) => boolean;
  effects: Pick<Effects, 'traceDivisor' | 'quietLogs'>;
}): RequestObserver {
  const { clock, log, metrics, isModel, effects } = options;
  const durations = histogramOf(metrics, METRICS.requestDuration);
  const refused = counterOf(metrics, METRICS.admissionRefused);
  const own = new TraceSampler({ clock, perSecond: options.tracesPerSecond, ratio: options.traceRatio });
  const clients = new TraceSampler({ clock, perSecond: CLIENT_SAMPLED_PER_SECOND, ratio: options.traceRatio });
  const failures = new TraceSampler({ clock, perSecond: FAILURES_PER_SECOND, ratio: 0 });

  return {
    begin: (parent) => {
      const sampler = parent !== '' && parseTraceparent(parent)?.sampled ? clients : own;
      return sampler.sample(effects.traceDivisor) ? childTraceparent(parent, { root: true }) : '';
    },
    end: (ending) => {
      const { door, request, receipt, error, startMs } = ending;
      const endMs = clock.now();
      const model = request !== undefined && isModel(request.model) ? request.model : 'other';
      const trafficClass = request?.trafficClass ?? 'standard';
      const rung = receipt?.rung ?? (error === undefined ? 'failed' : rungOf(error));
      const code = error?.code ?? 'OK';
      durations.bind({ door, class: trafficClass, model, rung, code }).observe((endMs - startMs) / 1_000);
      if (error !== undefined && rung === 'refused') {
        refused.inc({ class: trafficClass, model, reason: error.reason ?? 'none' });
      }
      const traced = ending.traceparent !== '' || (error !== undefined && failures.sample(effects.traceDivisor));
      if (!traced && !log.isLevelEnabled('debug')) return;
      const facts = {
        [ATTRIBUTES.requestId]: ending.requestId,
        [ATTRIBUTES.door]: door,
        [ATTRIBUTES.tenant]: request?.tenant,
        [ATTRIBUTES.trafficClass]: trafficClass,
        [ATTRIBUTES.model]: model,
        [ATTRIBUTES.version]: receipt?.version,
        [ATTRIBUTES.rung]: rung,
        [ATTRIBUTES.reason]: error?.reason,
        [ATTRIBUTES.cache]: receipt?.cache,
        [ATTRIBUTES.batchId]: receipt?.batchId,
        [ATTRIBUTES.batchSize]: receipt?.batchRows,
        [ATTRIBUTES.batchClosedBy]: receipt?.closedBy,
        [ATTRIBUTES.queueMs]: receipt?.queueMs,
        [ATTRIBUTES.runMs]: receipt?.runMs,
      };
      if (traced) {
        recordSpan({
          name: SPANS.request,
          traceparent: ending.parent,
          id: ending.traceparent,
          tracestate: request?.tracestate,
          root: true,
          kind: 'server',
          startMs,
          endMs,
          attributes: facts,
          ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
        });
      }
      const line = { ...facts, trace_id: parseTraceparent(ending.traceparent)?.traceId, duration_ms: endMs - startMs };
      if (error === undefined) log.debug(line, 'request answered');
      else if (error.code === 'INTERNAL') log.error({ ...line, code: error.code, err: error }, 'request failed');
      else if (!effects.quietLogs) log.info({ ...line, code: error.code, detail: error.message }, 'request failed');
    },
  };
}
