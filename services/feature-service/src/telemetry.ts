import { type FeatureFetch, VALUE_STATUS } from '@spillway/contracts/messages';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Logger } from '@spillway/telemetry/logger';
import { histogramOf, type Metrics } from '@spillway/telemetry/metrics';
import { ATTRIBUTES, LATENCY_BUCKETS, METRICS, SPANS } from '@spillway/telemetry/names';
import { recordSpan } from '@spillway/telemetry/spans';
import type { Outcome, RoundTrip } from './adapters/view-fetcher.ts';
import type { Block } from './core/assemble.ts';

/** One below `features.fetch` for each round trip that the caller took part in. */
const SOURCE_SPAN = 'features.source';
const COUNT_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

const TRIP_ERRORS: Record<Outcome, { code: string; message: string } | undefined> = {
  ok: undefined,
  timeout: { code: 'DEADLINE_EXCEEDED', message: 'the source did not answer in time; defaults stand in' },
  error: { code: 'UNAVAILABLE', message: 'the source failed; defaults stand in' },
  open: { code: 'UNAVAILABLE', message: 'the source was not asked: its breaker is open; defaults stand in' },
};

/** Turns the facts of fetches into metrics, spans and log lines. */
export type FetchTelemetry = {
  /** A source was asked, or its breaker answered for it; `block` is what came of it. */
  trip(trip: RoundTrip, block: Block): void;
  /** A caller is answered; `trips` are the round trips he took part in. */
  answered(fetch: FeatureFetch, startMs: number, trips: readonly RoundTrip[]): void;
  refused(fetch: FeatureFetch, fault: SpillwayError, startMs: number): void;
};

export function createFetchTelemetry(metrics: Metrics, logger: Logger, clock: Clock): FetchTelemetry {
  const tripSeconds = histogramOf(metrics, METRICS.featuresFetch);
  const roundTrips = metrics.counter(
    'spillway_features_round_trips_total',
    'Round trips to a source: pipelines written to Redis, statements run in SQLite',
    ['view', 'source'],
  );
  const calls = metrics.histogram('spillway_features_merged_calls', 'Callers that shared a round trip', COUNT_BUCKETS, [
    'view',
  ]);
  const entities = metrics.histogram(
    'spillway_features_merged_entities',
    'Different entities in a round trip',
    COUNT_BUCKETS,
    ['view'],
  );
  const values = metrics.counter('spillway_features_values_total', 'Values read or stood in for, by status', [
    'view',
    'status',
  ]);
  const answerSeconds = metrics
    .histogram('spillway_features_answer_seconds', 'Time from a fetch to its answer', LATENCY_BUCKETS)
    .bind({});
  const refusals = metrics.counter('spillway_features_refused_total', 'Fetches that broke a rule', ['code']);
  const sourceOpen = metrics.gauge(
    'spillway_features_source_open',
    '1 while the breaker keeps a source from being asked',
    ['source'],
  );

  const countValues = (view: string, block: Block): void => {
    const counts = [0, 0, 0, 0];
    for (const status of block.status) counts[status]! += 1;
    for (const [status, name] of VALUE_STATUS.entries()) {
      const count = counts[status] ?? 0;
      if (count > 0) values.inc({ view, status: name }, count);
    }
  };

  const breakerChanged = ({ breaker, view, error }: RoundTrip): void => {
    const source = view.source.kind;
    sourceOpen.set({ source }, breaker === 'opened' ? 1 : 0);
    if (breaker === 'opened') logger.warn({ source, err: error }, 'source failed repeatedly; defaults stand in');
    else logger.info({ source }, 'source answers again');
  };

  return {
    trip: (trip, block) => {
      const view = trip.view.view;
      const source = trip.view.source.kind;
      countValues(view, block);
      if (trip.breaker !== undefined) breakerChanged(trip);
      if (trip.outcome === 'open') return;
      tripSeconds.observe({ view, source, outcome: trip.outcome }, (trip.endMs - trip.startMs) / 1_000);
      roundTrips.inc({ view, source });
      calls.observe({ view }, trip.calls);
      entities.observe({ view }, trip.entities);
    },

    answered: (fetch, startMs, trips) => {
      const endMs = clock.now();
      answerSeconds.observe((endMs - startMs) / 1_000);
      if (fetch.traceparent === '') return;
      const traceparent = recordSpan({
        name: SPANS.featuresFetch,
        traceparent: fetch.traceparent,
        kind: 'server',
        startMs,
        endMs,
        attributes: {
          'spillway.entities': fetch.entities.length,
          'spillway.views': fetch.views,
          // Fewer than views: the caller's budget ended first.
          'spillway.round_trips': trips.length,
        },
      });
      for (const trip of trips) recordSourceSpan(trip, traceparent);
    },

    refused: (fetch, fault, startMs) => {
      refusals.inc({ code: fault.code });
      recordSpan({
        name: SPANS.featuresFetch,
        traceparent: fetch.traceparent,
        kind: 'server',
        startMs,
        endMs: clock.now(),
        error: fault,
      });
    },
  };
}

function recordSourceSpan(trip: RoundTrip, traceparent: string): void {
  recordSpan({
    name: SOURCE_SPAN,
    traceparent,
    kind: 'client',
    startMs: trip.startMs,
    endMs: trip.endMs,
    attributes: {
      [ATTRIBUTES.source]: trip.view.source.kind,
      'spillway.view': trip.view.view,
      'spillway.entities': trip.entities,
      'spillway.merged_calls': trip.calls,
    },
    error: TRIP_ERRORS[trip.outcome],
  });
}
