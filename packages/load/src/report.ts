/** What a run measured: written as JSON, drawn as table and HTML. No keys, no inputs. null: nothing was measured. */

export const QUANTILES = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999] as const;

/** Milliseconds, `quantiles` in the order of `QUANTILES`. */
export type Latency = { samples: number; quantiles: (number | null)[]; max: number | null };

export type GroupReport = {
  /** Requests that were due, and sendings: more than requests where clients retry. */
  offered: number;
  attempts: number;
  /** Requests of which one attempt was answered well, in full quality or degraded. */
  served: number;
  /** Attempts by how they ended. */
  good: number;
  degraded: number;
  ticket: number;
  late: number;
  refused: number;
  failed: number;
  cancelled: number;
  wrong: number;
  /** Refusals within 10 ms. */
  promptRefusals: number;
  /** Answers, from when they were due. */
  latency: Latency;
  refusalLatency: Latency;
  queue: Latency;
  refusedBy: Record<string, number>;
  failedBy: Record<string, number>;
  /** Retry-After: how long; tries at the hinted time, and what became of them. */
  hints: { given: number; hint: Latency; retried: number; served: number; refusedAgain: number };
  /** Answers by rows of their batch. */
  batches: Record<string, number>;
  meanBatch: number | null;
  /** Answers that ran in another class than was asked for. */
  otherClass: number;
};

export type PhaseReport = {
  label: string;
  fromMs: number;
  toMs: number;
  groups: Record<string, GroupReport>;
  all: GroupReport;
  latenessP99Ms: number | null;
  /** Cores the generator used. */
  cpu: number | null;
};

/** After a phase that was followed by a quieter one: ms until 100 ms windows were served again; null: they were not. */
export type Recovery = { after: string; toPhase: string; ms: number | null; byGroup: Record<string, number | null> };

export type Timeline = {
  /** Counts are per slice; the last may be shorter. */
  sliceMs: number;
  groups: Record<string, TimelineGroup>;
  meanBatch: (number | null)[];
};

export type TimelineGroup = Record<
  'offered' | 'good' | 'degraded' | 'ticket' | 'late' | 'refused' | 'failed' | 'cancelled' | 'wrong',
  number[]
> & { p50: (number | null)[]; p99: (number | null)[]; p999: (number | null)[] };

/** Gauges of the services by name, with the times of the samples in ms from the start. */
export type ScrapedMetrics = {
  timesMs: number[];
  series: { name: string; labels: string; values: (number | null)[] }[];
};

export type LoadReport = {
  format: 1;
  title: string;
  startedAt: string;
  /** What was loaded and how, one fact a line. */
  about: string[];
  machine: string;
  seed: number;
  /** Requests/s that multiples refer to. */
  capacity: number | null;
  /** Why the run says nothing about the target; empty: it counts. */
  void: string[];
  generator: {
    latenessP50Ms: number | null;
    latenessP99Ms: number | null;
    latenessMaxMs: number | null;
    cpu: number | null;
    /** Share of the machine's processors that its host gave to others meanwhile; null: nobody could say. */
    stolen: number | null;
    mostInFlight: number;
    connections: number;
    unsent: number;
  };
  groups: string[];
  phases: PhaseReport[];
  recovery: Recovery[];
  timeline: Timeline;
  metrics: ScrapedMetrics | null;
};
