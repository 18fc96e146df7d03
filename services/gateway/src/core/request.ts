import type { ModelRecord } from '@spillway/contracts/buckets';
import type { TrafficClass } from '@spillway/contracts/classes';
import type { Route, WorkItem } from '@spillway/contracts/messages';
import type { DataTypeName } from '@spillway/contracts/tensor';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import type { AcceptedRungs } from './accept.ts';

/** `data` is row-major little-endian; BYTES elements have a uint32 length before them. `shape` includes the batch. */
export type TensorValue = { name: string; datatype: DataTypeName; shape: number[]; data: Uint8Array };

/** Who calls: from the API key's record, never from the request. */
export type Identity = { tenant: string; trafficClass: TrafficClass; keyId: string; scopes: readonly string[] };

/** The one internal request that every door makes. Times are on the gateway's monotonic clock. */
export type InferRequest = {
  /** One id from door to model to trace to log. */
  id: string;
  tenant: string;
  /** Of the key that called; empty: none. */
  keyId: string;
  /** The class that is used: admission may lower it. */
  trafficClass: TrafficClass;
  accept: AcceptedRungs;
  model: string;
  /** Empty: the newest version. */
  version: string;
  inputs: TensorValue[];
  receivedAtMs: number;
  /** Remaining budget the caller gave; undefined: the model's default. */
  budgetMs: number | undefined;
  /** Do not read, do not write the result cache. */
  noCache: boolean;
  noStore: boolean;
  /** Of the request's span; empty: this request is not sampled. */
  traceparent: string;
  /** As it came with the caller's `traceparent`; empty: none. */
  tracestate: string;
};

/** `joined`: an identical request was running already. */
export type CacheOutcome = 'hit' | 'miss' | 'joined' | 'stale' | 'bypass';

/** What is known about how a request was answered. */
export type Receipt = {
  rung: 'run' | 'wait' | 'degraded' | 'ticket' | 'refused' | 'failed';
  cache: CacheOutcome;
  version: string;
  variant: string;
  queueMs: number;
  runMs: number;
  batchId: string;
  batchRows: number;
  closedBy: string;
  worker: string;
  /** Tries inside the mesh. */
  attempts: number;
  /** What kept the answer from being an idle mesh's: `features` (defaults were used), `variant`, `stale`; empty otherwise. */
  degraded: string;
};

export type Answer = { model: string; outputs: TensorValue[]; receipt: Receipt };

/** A request that is ready to be sent, for a door that sends it itself. `item.route` is 0: it stands alone. `degraded`: as in a receipt. */
export type Prepared = { item: WorkItem; route: Route; model: ModelRecord; degraded?: string };

/** Exactly one of them is called, once, for each submitted request. */
export type Settle = {
  answered(answer: Answer): void;
  failed(error: SpillwayError): void;
  /** It is to become a durable job. Absent: this door gives no tickets. */
  ticket?(prepared: Prepared): void;
};
