import type { ModelRecord } from '@spillway/contracts/buckets';
import type { CachePut, ViewRows } from '@spillway/contracts/messages';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Admission } from './admission/admission.ts';
import type { CacheFound, CacheLookup, FeatureWant } from './look-ups.ts';
import type { ModelStatistics } from './model-statistics.ts';
import type { ResubmissionRules } from './resubmissions.ts';

/** What the pipeline needs from outside. Callbacks come exactly once, or never if the other side is lost: the deadline holds. */
export type PipelinePorts = {
  clock: Clock;
  model(name: string): ModelRecord | undefined;
  admission: Pick<Admission, 'decide' | 'published' | 'ended' | 'answered' | 'congested' | 'effects'> &
    ResubmissionRules;
  statistics: Pick<ModelStatistics, 'ran' | 'hit' | 'missed' | 'failed'>;
  /** `undefined`: a miss. */
  cacheGet(lookup: CacheLookup, found: (found: CacheFound | undefined) => void): void;
  cachePut(put: CachePut): void;
  fetchFeatures(want: FeatureWant, fetched: (rows: ViewRows[] | SpillwayError) => void): void;
  /** The buffer has become non-empty: call `flush()` at the end of this turn. */
  flushSoon(): void;
  /** The caller of a request that was sent has left. */
  cancelled(seq: number): void;
};

export type PipelineLimits = { maxInFlight: number; maxFrameBytes: number };
