import type { TrafficClass } from '@spillway/contracts/classes';
import type { BatchDone, Hello, ServedModel, WorkFrame, WorkItem } from '@spillway/contracts/messages';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import type { Queued } from '../../src/core/class-lists.ts';
import { Dispatcher, type DispatcherOptions } from '../../src/core/dispatcher.ts';
import type { FrameMessage } from '../../src/core/frames.ts';
import type { BatchRules } from '../../src/core/model-rules.ts';
import type { Place } from '../../src/core/place.ts';
import type { Prediction } from '../../src/core/run-time.ts';
import { unpackFrame, type Work } from '../../src/core/work.ts';

export const RULES: BatchRules = {
  maxBatchCost: Number.POSITIVE_INFINITY,
  maxBatchBytes: Number.POSITIVE_INFINITY,
  maxQueueDelayMs: 0,
  replyMarginMs: 0,
  shortestDeadlineMs: 1_000,
  preferredRows: [],
  policies: [],
  lengthBuckets: [],
  slowStartMs: 0,
};

export type Entry = Queued & { id: string };

/** An entry with one row, due in 1000 ms. */
export const entry = (clock: ManualClock, id: string, fields: Partial<Queued> & { inMs?: number } = {}): Entry => {
  const { inMs = 1_000, ...queued } = fields;
  const deadlineMs = queued.deadlineMs ?? clock.now() + inMs;
  const cost = queued.rows ?? 1;
  return {
    id,
    rank: 1,
    key: 'k',
    variant: '',
    rows: 1,
    cost,
    bytes: 10,
    deadlineMs,
    enqueuedAtMs: clock.now(),
    sinceMs: clock.now(),
    orderMs: deadlineMs,
    ...queued,
  };
};

/** An instance whose batches take `perRowMs` for each row. */
export const place = <T>(
  maxRows: number,
  perRowMs = 0,
  { trusted = perRowMs > 0, ...fields }: Partial<Place<T> & Prediction> = {},
): Place<T> => ({
  startInMs: 0,
  predict: () => ({ maxRows, baseMs: 0, rowMs: perRowMs, trusted }),
  ...fields,
});

/** A pulled message that writes down what was said of it. */
export class TestMessage implements FrameMessage {
  readonly said: string[] = [];
  readonly payload = new Uint8Array(0);
  readonly ackSubject: string;
  readonly deliveries: number;

  constructor(deliveries = 1, ackSubject = 'ack.1') {
    this.deliveries = deliveries;
    this.ackSubject = ackSubject;
  }

  ack(): void {
    this.said.push('ack');
  }
  nak(): void {
    this.said.push('nak');
  }
  working(): void {
    this.said.push('working');
  }
  term(): void {
    this.said.push('term');
  }
}

export const item = (seq: number, fields: Partial<WorkItem> = {}): WorkItem => ({
  seq,
  requestId: `r${seq}`,
  budgetMs: 1_000,
  rows: 1,
  cost: 1,
  route: 0,
  traceparent: '',
  tensors: new Uint8Array(8),
  tenant: 't',
  ...fields,
});

export const served = (model: string, fields: Partial<ServedModel> = {}): ServedModel => ({
  model,
  versions: ['1'],
  maxBatchSize: 4,
  slots: 1,
  runLimitMs: 10_000,
  runMsOne: 1,
  runMsFull: 1,
  ...fields,
});

export const hello = (instance: string, ...models: ServedModel[]): Hello => ({ instance, models });

export const doneOf = (batchId: string, fields: Partial<BatchDone> = {}): BatchDone => ({
  batchId,
  model: 'm',
  rows: 1,
  runMs: 1,
  errorCode: '',
  notStarted: false,
  ...fields,
});

type FrameFields = {
  trafficClass?: TrafficClass;
  durable?: boolean;
  message?: TestMessage;
  gateway?: string;
  maxDeliver?: number;
  version?: string;
  variant?: string;
};

/** A dispatcher with the model `m`, and a way to push frames into it. */
export class Bench {
  readonly clock = new ManualClock();
  readonly dispatcher: Dispatcher;
  #batches = 0;

  constructor(rules: Partial<BatchRules> = {}, options: Partial<DispatcherOptions> = {}) {
    this.dispatcher = new Dispatcher({
      clock: this.clock,
      newBatchId: () => {
        this.#batches += 1;
        return `b${this.#batches}`;
      },
      jobsShare: 0,
      bulkShare: 0,
      ...options,
    });
    this.dispatcher.setModel('m', { ...RULES, ...rules });
  }

  worker(name: string, credits: number, fields: Partial<ServedModel> = {}): void {
    this.dispatcher.join(name, hello(name, served('m', fields)));
    this.dispatcher.credits.grant(name, 'm', credits);
  }

  frame(items: WorkItem[], fields: FrameFields = {}): { message: TestMessage; work: Work[] } {
    const { trafficClass = 'standard', durable = false, message = new TestMessage(), gateway = 'g' } = fields;
    const held = this.dispatcher.frames.hold({
      message,
      gateway,
      replyTo: `inbox.${gateway}`,
      durable,
      ackWaitMs: 300,
      maxDeliver: fields.maxDeliver ?? 3,
      requests: items.length,
    });
    const frame: WorkFrame = {
      gateway,
      replyTo: `inbox.${gateway}`,
      sentMs: 0,
      model: 'm',
      trafficClass,
      routes: [{ version: fields.version ?? '1', variant: fields.variant ?? '', shapes: 's' }],
      items,
    };
    const lengthBuckets = this.dispatcher.queues('m')?.rules.lengthBuckets ?? [];
    const nowMs = this.clock.now();
    const work = unpackFrame(frame, { frame: held, model: 'm', trafficClass, nowMs, agedMs: 0, lengthBuckets });
    this.dispatcher.push('m', work);
    return { message, work };
  }

  /** Sequence numbers of the batch that leaves now; undefined: none does. */
  next(): { batchId: string; worker: string; seqs: number[]; closedBy: string } | undefined {
    const { dispatch } = this.dispatcher.next('m');
    if (dispatch === undefined) return undefined;
    const { batchId, slot, work, closedBy } = dispatch;
    return { batchId, worker: slot.worker, seqs: work.map((one) => one.item.seq), closedBy };
  }
}
