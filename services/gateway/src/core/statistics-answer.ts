import type { Total, VersionTotals } from '@spillway/contracts/messages';

type Duration = { count: number; ns: number };
type ComputeDurations = { compute_input: Duration; compute_infer: Duration; compute_output: Duration };

/** `inference.ModelStatistics`, with the field names of its proto: the JSON of the HTTP door and the message of the gRPC door. */
export type ModelStatisticsAnswer = {
  name: string;
  version: string;
  last_inference: number;
  inference_count: number;
  execution_count: number;
  inference_stats: ComputeDurations & Record<'success' | 'fail' | 'queue' | 'cache_hit' | 'cache_miss', Duration>;
  response_stats: Record<string, never>;
  batch_stats: (ComputeDurations & { batch_size: number })[];
  memory_usage: never[];
};

const NONE: Total = { count: 0, ns: 0 };

/**
 * One model version's totals of several gateways as one. `totals` are those of this version; none: nothing was asked of it yet.
 * Adding comes before rounding: each gateway has only its share of a batch that several filled.
 */
export function statisticsAnswer(
  name: string,
  version: string,
  totals: readonly VersionTotals[],
): ModelStatisticsAnswer {
  const sum = (pick: (one: VersionTotals) => number): number =>
    Math.round(totals.reduce((all, one) => all + pick(one), 0));
  const duration = (pick: (one: VersionTotals) => Total | null | undefined): Duration => ({
    count: sum((one) => (pick(one) ?? NONE).count),
    ns: sum((one) => (pick(one) ?? NONE).ns),
  });
  const sizes = [...new Set(totals.flatMap(({ batches }) => batches.map(({ rows }) => rows)))].sort((a, b) => a - b);
  const ofSize = (rows: number) => duration(({ batches }) => batches.find((batch) => batch.rows === rows)?.run);
  return {
    name,
    version,
    last_inference: Math.round(totals.reduce((last, { lastInferenceMs }) => Math.max(last, lastInferenceMs), 0)),
    inference_count: sum(({ rows }) => rows),
    execution_count: sum(({ runs }) => runs),
    inference_stats: {
      success: duration(({ success }) => success),
      fail: duration(({ fail }) => fail),
      queue: duration(({ queue }) => queue),
      ...computeOf(duration(({ run }) => run)),
      cache_hit: duration(({ cacheHit }) => cacheHit),
      cache_miss: duration(({ cacheMiss }) => cacheMiss),
    },
    response_stats: {},
    batch_stats: sizes
      .map((batch_size) => ({ batch_size, ...computeOf(ofSize(batch_size)) }))
      .filter(({ compute_infer }) => compute_infer.count > 0), // less than half of one batch was ours
    memory_usage: [],
  };
}

/** A worker tells one time for the run and the splitting of its output: it is all in `compute_infer`. */
const computeOf = (run: Duration): ComputeDurations => ({
  compute_input: { count: run.count, ns: 0 },
  compute_infer: run,
  compute_output: { count: run.count, ns: 0 },
});
