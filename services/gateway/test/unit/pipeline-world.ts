import type { ModelRecord } from '@spillway/contracts/buckets';
import type { CachePut, ReplyFrame, ViewRows } from '@spillway/contracts/messages';
import { packBytes } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { Admission, type Candidate, type Decision, type Effects } from '../../src/core/admission/admission.ts';
import type { CacheLookup, FeatureWant } from '../../src/core/look-ups.ts';
import { ModelStatistics } from '../../src/core/model-statistics.ts';
import { Pipeline } from '../../src/core/pipeline.ts';
import type { Answer } from '../../src/core/request.ts';
import { encodeTensors } from '../../src/core/tensor-codec.ts';
import { fp32, mlp, request } from './fixtures.ts';

const RUN: Decision = {
  rung: 'run',
  variant: '',
  rank: 0,
  costIms: 1,
  code: '',
  reason: '',
  retryAfterMs: 0,
  predictedWaitMs: 0,
  predictedFinishMs: 0,
};

export const setUp = (model: ModelRecord = mlp, limits = { maxInFlight: 100, maxFrameBytes: 65_536 }) => {
  const clock = new ManualClock();
  const outside = {
    flushes: 0,
    decision: {} as Partial<Decision>,
    congested: false,
    resubmitAfterMs: Number.POSITIVE_INFINITY,
    effects: {} as Partial<Effects>,
    cancelled: [] as number[],
    cacheAnswers: [] as ((value: Uint8Array | undefined, stale?: boolean) => void)[],
    lookups: [] as CacheLookup[],
    wants: [] as FeatureWant[],
    puts: [] as CachePut[],
    ended: 0,
    featureAnswers: [] as ((rows: ViewRows[] | SpillwayError) => void)[],
  };
  const decision: Decision = { ...RUN };
  const admission = {
    decide: (candidate: Candidate) => Object.assign(decision, { rank: candidate.rank }, outside.decision),
    published: () => undefined,
    ended: () => {
      outside.ended += 1;
    },
    answered: () => undefined,
    resubmitAfterMs: () => outside.resubmitAfterMs,
    mayResubmit: () => true,
    congested: () => outside.congested,
    effects: { ...new Admission({ instance: 'gw', random: () => 0.5, nowMs: 0 }).effects, ...outside.effects },
  };
  const statistics = new ModelStatistics();
  const pipeline = new Pipeline(
    {
      clock,
      model: (name) => (name === model.model ? model : undefined),
      admission,
      statistics,
      cacheGet: (lookup, found) => {
        outside.lookups.push(lookup);
        outside.cacheAnswers.push((value, stale = false) => found(value && { value, stale }));
      },
      cachePut: (put) => outside.puts.push(put),
      fetchFeatures: (want, fetched) => {
        outside.wants.push(want);
        outside.featureAnswers.push(fetched);
      },
      flushSoon: () => {
        outside.flushes += 1;
      },
      cancelled: (seq) => outside.cancelled.push(seq),
    },
    limits,
  );
  const ends: (Answer | SpillwayError)[] = [];
  const settle = {
    answered: (answer: Answer) => ends.push(answer),
    failed: (error: SpillwayError) => ends.push(error),
  };
  const submit = (over = {}) => pipeline.submit(request({ receivedAtMs: clock.now(), ...over }), settle);
  return { clock, outside, admission, statistics, pipeline, ends, submit };
};
export const reply = (seq: number, over: object = {}): ReplyFrame => ({
  worker: 'w',
  batchId: 'b-1',
  model: 'mlp',
  version: '2',
  variant: '',
  batchRows: 3,
  runMs: 1,
  closedBy: 'idle',
  items: [
    {
      seq,
      errorCode: '',
      errorMessage: '',
      errorReason: '',
      tensors: encodeTensors([fp32('y', [1, 1], [0.5])]),
      queueMs: 1,
      ...over,
    },
  ],
});
export const codes = (ends: (Answer | SpillwayError)[]) =>
  ends.map((end) => (end instanceof SpillwayError ? end.code : 'OK'));

export const cached: ModelRecord = { ...mlp, responseCache: { ttlMs: 1_000 } };

export const joined: ModelRecord = {
  ...cached,
  inputs: [{ name: 'id', datatype: 'BYTES', dims: [1] }],
  features: { entity: 'id', tensors: [{ view: 'profile', input: 'p' }] },
};
export const byId = {
  inputs: [{ name: 'id', datatype: 'BYTES' as const, shape: [1, 1], data: packBytes([Buffer.from('7')]) }],
};
export const rows = (status: number): ViewRows[] => [
  {
    view: 'profile',
    fields: 2,
    values: new Uint8Array(Float32Array.of(1, 2).buffer),
    status: Uint8Array.of(status, 0),
  },
];
