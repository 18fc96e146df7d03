import type { ModelRecord } from '@spillway/contracts/buckets';

/** How a request ends, best first. */
export type Rung = 'run' | 'wait' | 'degraded' | 'ticket' | 'refused';

/** The knob that refused; empty: none did. */
export type Reason =
  | ''
  | 'quota'
  | 'fair_rate'
  | 'predicted_finish'
  | 'queue_bound'
  | 'gateway_cpu'
  | 'expired'
  | 'brownout'
  | 'bus'
  | 'brake'
  | 'limit';

/** A request of which only the headers were read. `budgetMs`: as asked, from now. */
export type Unread = Pick<Candidate, 'model' | 'rank' | 'tenant' | 'keyId'> & {
  budgetMs: number | undefined;
  /** Its caller does not take an answer from the cache. */
  noCache: boolean;
  acceptsTicket: boolean;
};

/** A request that was read and validated. It is read at once and not kept: the caller may use one object for all. */
export type Candidate = {
  model: string;
  /** 0 vip, 1 standard, 2 bulk. */
  rank: number;
  tenant: string;
  /** Empty: no key. */
  keyId: string;
  /** As its `WorkItem` will have them. */
  rows: number;
  cost: number;
  /** Left now. */
  budgetMs: number;
  acceptsWait: boolean;
  acceptsDegraded: boolean;
  acceptsTicket: boolean;
  /** uint32 of the user or conversation, so that one user does not flip between variants; else of tenant and request id. */
  stickyHash: number;
};

/** What happens to a request. One object serves for every answer of an `Admission`: it is read before the next question. */
export type Decision = {
  rung: Rung;
  /** Empty: the full model. */
  variant: string;
  /** May be lower than asked: a key can say that beyond its quota its requests go on one class lower. */
  rank: number;
  /** Milliseconds of one model instance. */
  costIms: number;
  code: '' | 'OVERLOADED' | 'QUOTA_EXCEEDED' | 'UNAVAILABLE';
  reason: Reason;
  retryAfterMs: number;
  /** Until its batch starts. */
  predictedWaitMs: number;
  /** Until its answer is here. */
  predictedFinishMs: number;
};

/** What admission reads of a model's record. */
export type AdmittedModel = Pick<
  ModelRecord,
  'model' | 'defaultDeadlineMs' | 'limits' | 'degradeTo' | 'degradeOptOut' | 'responseCache'
>;

/** What the level of brown-out switches in this gateway. One object that is changed in place: keep a reference to it. */
export type Effects = {
  level: number;
  hedgesOff: boolean;
  lingerOff: boolean;
  /** The share of traces is divided by this. */
  traceDivisor: number;
  staleAllowed: boolean;
  /** Features of standard and bulk take their defaults when they are not here at once. */
  hurryFeatures: boolean;
  bulkToTicket: boolean;
  bulkFloorOnly: boolean;
  connectionsLimited: boolean;
  quietLogs: boolean;
};

/** Of one class of one model at the last tick; rates in ims per ms (instances kept busy). */
export type ClassFacts = {
  congested: boolean;
  /** Work ahead of a new request of this class, ms. */
  queueMs: number;
  /** What may be admitted by all gateways. */
  capacity: number;
  /** Per tenant of weight 1, all gateways; Infinity: nobody is cut. */
  fairRate: number;
  share: number;
  offered: number;
  admitted: number;
  refused: number;
};

/** Of one model at the last tick. */
export type ModelFacts = {
  model: string;
  capacity: number;
  gateways: number;
  batchers: number;
  /** Since anything was heard about this model; more than 500 ms with traffic is an alarm. */
  silentMs: number;
  level: number;
  pressure: number;
  /** Share of eligible requests that get a lighter variant. */
  lighterShare: number;
  classes: readonly ClassFacts[];
};
