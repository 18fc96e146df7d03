import type { Piece } from '@spillway/load/profile';
import type { SimModel } from '../chain/spec.ts';

/** `share` of the flow's calls; the shares need not sum to 1. */
export type Tenant = { name: string; keyId: string; share: number };

/**
 * What a client does after a failure.
 * - `none`: it gives up.
 * - `naive`: tries four times in all, at once, each time with a new deadline; takes no advice.
 * - `obey`: comes again once, at the time it was told, with a new deadline.
 * - `budget`: as the client library: once, inside the deadline, not before the time it was told, paid from a bucket.
 */
export type RetryBehaviour = 'none' | 'naive' | 'obey' | 'budget';

/** Calls that are alike. */
export type Flow = {
  name: string;
  rank: number;
  model: SimModel;
  tenants: readonly Tenant[];
  /** Calls per second over time, from the begin of the run. */
  pieces: readonly Piece[];
  /** One of them is drawn for each call. */
  deadlinesMs: readonly number[];
  retry: RetryBehaviour;
  rows?: number;
  acceptsTicket?: boolean;
  /** Known times in place of `pieces`, ascending. */
  timesMs?: Float64Array;
};
