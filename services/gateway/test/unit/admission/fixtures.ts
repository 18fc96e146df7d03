import type { BatcherLoad, GatewayLoad, LoadState } from '@spillway/contracts/messages';
import { seededRandom } from '@spillway/testing/seeded-random';
import { Admission } from '../../../src/core/admission/admission.ts';
import type { AdmissionSettings } from '../../../src/core/admission/settings.ts';
import type { AdmittedModel, Candidate, Unread } from '../../../src/core/admission/types.ts';

export const START_MS = 1_000;

/** T(b) = 4 + 0.5 b ms, 32 rows a batch: 20 ms a full batch, 0.625 ims a row. */
export const model: AdmittedModel = { model: 'm', defaultDeadlineMs: 200 };

export const batcherLoad = (over: Partial<BatcherLoad> = {}): BatcherLoad => ({
  backlog: [0, 1, 2].map(() => ({ pending: 0, pendingAgeMs: 0, held: 0, rateOut: 0 })),
  capacityRaw: 4,
  capacity: 4,
  healthy: 4,
  suspect: 0,
  runTimes: [{ variant: '', baseMs: 4, rowMs: 0.5, cv: 0 }],
  operatingRows: 32,
  fill: 1,
  costPerRow: 1,
  hopMs: 0.5,
  ...over,
});

/** Work that waits in the stream, by rank. */
export const waiting = (...pending: number[]): BatcherLoad['backlog'] =>
  [0, 1, 2].map((rank) => ({ pending: pending[rank] ?? 0, pendingAgeMs: 0, held: 0, rateOut: 0 }));

let seq = 0;
export const stateOf = (sides: { batcher: BatcherLoad } | { gateway: GatewayLoad }, over: Partial<LoadState> = {}) => {
  seq += 1;
  const instance = 'batcher' in sides ? 'b0' : 'g1';
  return { instance, epoch: 1, seq, sentMs: 0, level: 0, ...sides, ...over } satisfies LoadState;
};

export const candidate = (over: Partial<Candidate> = {}): Candidate => ({
  model: 'm',
  rank: 1,
  tenant: 't',
  keyId: '',
  rows: 1,
  cost: 1,
  budgetMs: 200,
  acceptsWait: true,
  acceptsDegraded: false,
  acceptsTicket: false,
  stickyHash: 0,
  ...over,
});

/** A gateway that knows the model, and its batchers unless `batcher` is null. */
export function setUp(
  options: {
    record?: AdmittedModel;
    batcher?: Partial<BatcherLoad> | null;
    settings?: Partial<AdmissionSettings>;
    instance?: string;
    seed?: number;
  } = {},
) {
  const { record = model, batcher = {}, settings = {}, instance = 'g0', seed = 1 } = options;
  const admission = new Admission({ random: seededRandom(seed), instance, settings, nowMs: START_MS });
  admission.setModel(record);
  if (batcher !== null) admission.onLoad(record.model, stateOf({ batcher: batcherLoad(batcher) }), 0, START_MS);
  return admission;
}

/** What a door knows before it has read the body. */
export const unread = (over: Partial<Candidate> = {}): Unread => {
  const { model, rank, tenant, keyId, budgetMs, acceptsTicket } = candidate(over);
  return { model, rank, tenant, keyId, budgetMs, acceptsTicket, noCache: false };
};

/** Asks as a door does and, if let in, publishes. */
export function offer(admission: Admission, nowMs: number, over: Partial<Candidate> = {}) {
  const decision = { ...(admission.beforeBody(unread(over), nowMs) ?? admission.decide(candidate(over), nowMs)) };
  if (decision.rung !== 'refused' && decision.rung !== 'ticket') {
    admission.published(over.model ?? 'm', decision.rank, decision.costIms, nowMs);
  }
  return decision;
}
