import { Registry } from 'prom-client';
import { MetricFamily } from './metric-family.ts';
import { CounterSeries, GaugeSeries, HistogramSeries, type Labels, type Series } from './metric-series.ts';
import type { MetricSpec } from './names.ts';
import { registerProcessMetrics } from './process-metrics.ts';

/** A value for each label of a metric. Only allowlisted values: `labelAllowlist`; ids are never labels. */
export type LabelValues<L extends string> = { readonly [label in L]: string };

/** One time series, found once and kept by the hot path: adding to it costs a few nanoseconds. */
export type BoundCounter = { inc(by?: number): void };
export type BoundGauge = { set(value: number): void; add(by: number): void };
export type BoundHistogram = { observe(value: number): void };

export type Counter<L extends string> = {
  inc(labels: LabelValues<L>, by?: number): void;
  bind(labels: LabelValues<L>): BoundCounter;
};
export type Gauge<L extends string> = {
  set(labels: LabelValues<L>, value: number): void;
  bind(labels: LabelValues<L>): BoundGauge;
  /** Forgets all series: for states that are set anew at each render. */
  reset(): void;
};
export type Histogram<L extends string> = {
  observe(labels: LabelValues<L>, value: number): void;
  bind(labels: LabelValues<L>): BoundHistogram;
};

export type Metrics = {
  /** @param collect Called before each render, to add what something else counts. */
  counter<L extends string = never>(
    name: string,
    help: string,
    labels?: readonly L[],
    collect?: (counter: Counter<L>) => void,
  ): Counter<L>;
  /** @param collect Called before each render, to set what is only worth knowing then. */
  gauge<L extends string = never>(
    name: string,
    help: string,
    labels?: readonly L[],
    collect?: (gauge: Gauge<L>) => void,
  ): Gauge<L>;
  /** @param buckets Upper bounds, ascending, in the unit of the name; `+Inf` is added. */
  histogram<L extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly L[],
  ): Histogram<L>;
  /** Prometheus' text of all metrics, for GET /metrics. */
  render(): Promise<{ contentType: string; body: string }>;
};

/**
 * The metrics of one service: prom-client's registry renders them, the values live in `metric-series.ts`,
 * because prom-client's own `observe` costs about 1 µs with five labels, bound or not: a tenth of a core for five of
 * them in each of 20 000 requests/s.
 * Every series carries `service`. Process metrics are read only when rendered.
 * @throws Error on a name registered twice, or one that Prometheus refuses.
 */
export function createMetrics(service: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  const register = <S extends Series>(family: MetricFamily<S>): MetricFamily<S> => {
    registry.registerMetric(family.asMetric());
    return family;
  };
  const metrics: Metrics = {
    counter: (name, help, labelNames = [], collect) => {
      const create = (labels: Labels) => new CounterSeries(labels);
      const beforeRender = () => collect?.(counter);
      const family = register(
        new MetricFamily({ name, help, type: 'counter', labelNames, create, collect: beforeRender }),
      );
      const counter: ReturnType<Metrics['counter']> = {
        bind: (labels) => family.bind(labels),
        inc: (labels, by) => family.bind(labels).inc(by),
      };
      return counter;
    },
    gauge: (name, help, labelNames = [], collect) => {
      const create = (labels: Labels) => new GaugeSeries(labels);
      const beforeRender = () => collect?.(gauge);
      const family = register(
        new MetricFamily({ name, help, type: 'gauge', labelNames, create, collect: beforeRender }),
      );
      const gauge: ReturnType<Metrics['gauge']> = {
        bind: (labels) => family.bind(labels),
        set: (labels, value) => family.bind(labels).set(value),
        reset: () => family.reset(),
      };
      return gauge;
    },
    histogram: (name, help, buckets, labelNames = []) => {
      const bounds = ascending(name, buckets);
      const create = (labels: Labels) => new HistogramSeries(labels, bounds);
      const family = register(new MetricFamily({ name, help, type: 'histogram', labelNames, create }));
      return { bind: (labels) => family.bind(labels), observe: (labels, value) => family.bind(labels).observe(value) };
    },
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
  registerProcessMetrics(metrics);
  return metrics;
}

function ascending(name: string, buckets: readonly number[]): readonly number[] {
  if (
    buckets.length === 0 ||
    buckets.some((bound, index) => !(bound > (buckets[index - 1] ?? Number.NEGATIVE_INFINITY)))
  )
    throw new Error(`metric ${name}: expected ascending buckets, got [${buckets.join(', ')}]`);
  return buckets;
}

/** The same from a row of `METRICS`: `histogramOf(metrics, METRICS.queueWait)`. */
export const counterOf = <L extends string>(metrics: Metrics, spec: MetricSpec<L>): Counter<L> =>
  metrics.counter(spec.name, spec.help, spec.labels);
export const gaugeOf = <L extends string>(
  metrics: Metrics,
  spec: MetricSpec<L>,
  collect?: (gauge: Gauge<L>) => void,
): Gauge<L> => metrics.gauge(spec.name, spec.help, spec.labels, collect);
export const histogramOf = <L extends string>(metrics: Metrics, spec: MetricSpec<L>): Histogram<L> =>
  metrics.histogram(spec.name, spec.help, spec.buckets, spec.labels);

/**
 * Maps what is not in the list to `other`, so that a caller's text never makes a new time series.
 * @param values A list, or anything with `has` that may change later (the catalogue's models).
 */
export function labelAllowlist(values: Iterable<string> | { has(value: string): boolean }): (value: string) => string {
  const allowed = 'has' in values ? values : new Set(values);
  return (value) => (allowed.has(value) ? value : 'other');
}
