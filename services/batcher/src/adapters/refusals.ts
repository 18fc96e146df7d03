import type { Bus } from '@spillway/bus/bus';
import { bury, storeResult } from '@spillway/bus/job-end';
import type { TrafficClass } from '@spillway/contracts/classes';
import { deadJob, errorMessage } from '@spillway/contracts/job-messages';
import {
  type ReplyFrame,
  replyFrameCodec,
  type WorkFrame,
  type WorkItem,
  workFrameCodec,
} from '@spillway/contracts/messages';
import { jobsSubject, workSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { wallClock } from '@spillway/lifecycle/clock';
import type { FrameMessage } from '../core/frames.ts';
import { MOST } from '../core/returns.ts';
import type { Work } from '../core/work.ts';

const NO_BYTES = new Uint8Array(0);

const EXPIRED = SpillwayError.refusal(
  'OVERLOADED',
  'the request could not have finished before its deadline any more',
  {
    reason: 'expired',
  },
);
const LOST = SpillwayError.refusal('BACKEND_FAILED', 'the worker of this request was lost', { reason: 'worker_lost' });
/** Of a request that the queue policy of its model does not let wait. */
export const QUEUE_FULL = SpillwayError.refusal('OVERLOADED', "the model's queue holds max_queue_size requests", {
  reason: 'queue_bound',
});

/** Answers dropped requests at once. One whose deadline is over has been answered by its gateway's timer. */
export function refuseExpired(bus: Bus, work: readonly Work[], nowMs: number): void {
  const inTime = work.filter(({ deadlineMs }) => deadlineMs > nowMs);
  if (inTime.length > 0) refuseRequests(bus, inTime, EXPIRED);
}

/** Tells the gateways that these requests failed: one message for each inbox. A lost one costs the wait for the deadline. */
export function refuseRequests(bus: Bus, work: readonly Work[], error: SpillwayError): void {
  for (const [replyTo, mine] of Map.groupBy(work, ({ frame }) => frame.replyTo)) {
    const requests = mine.map(({ item: { seq }, agedMs }) => ({ seq, agedMs }));
    refuse(bus, { replyTo, model: mine[0]?.model ?? '' }, requests, error);
  }
}

function refuse(
  bus: Bus,
  { replyTo, model }: Pick<WorkFrame, 'replyTo' | 'model'>,
  requests: readonly { seq: number; agedMs: number }[],
  error: SpillwayError,
): void {
  const reply: ReplyFrame = {
    worker: '',
    batchId: '',
    model,
    version: '',
    variant: '',
    batchRows: 0,
    runMs: 0,
    closedBy: '',
    items: requests.map(({ seq, agedMs }) => ({
      seq,
      errorCode: error.code,
      errorMessage: error.message,
      errorReason: error.reason ?? '',
      tensors: NO_BYTES,
      queueMs: agedMs,
    })),
  };
  bus.publish(replyTo, replyFrameCodec.encode(reply));
}

/**
 * Sends a frame again that JetStream delivers no more. Batchers may have died of it, so for each of its requests that counts as a
 * lost worker does. @returns how many requests have a new message, and how many were answered instead.
 */
export async function reissueFrame(
  bus: Bus,
  frame: WorkFrame,
  subject: string,
): Promise<{ again: number; refused: number }> {
  const items = frame.items.map((item) => ({ ...item, losses: (item.losses ?? 0) + 1 }));
  const [again, refused] = [
    items.filter(({ losses }) => losses < MOST.losses),
    items.filter(({ losses }) => losses >= MOST.losses),
  ];
  const unaged = (some: readonly WorkItem[]) => some.map(({ seq }) => ({ seq, agedMs: 0 }));
  if (refused.length > 0) refuse(bus, frame, unaged(refused), LOST);
  if (again.length === 0) return { again: 0, refused: refused.length };
  try {
    await bus.publishToStream(subject, workFrameCodec.encode({ ...frame, items: again }));
    return { again: again.length, refused: refused.length };
  } catch {
    refuse(bus, frame, unaged(again), LOST);
    return { again: 0, refused: items.length };
  }
}

/**
 * Gives requests whose worker was lost to another batcher: in new messages, for theirs were acknowledged when they left for the
 * worker. Deadlines are counted from the first sending, as before. What the stream does not take is answered.
 */
export function reissueRequests(bus: Bus, work: readonly Work[]): void {
  for (const [{ message }, mine] of Map.groupBy(work, ({ frame }) => frame)) {
    const { model, trafficClass } = mine[0] as Work;
    const sent = workFrameCodec.decode(message.payload);
    const losses = new Map(mine.map(({ item, losses: so }) => [item.seq, so]));
    const items = sent.items.filter(({ seq }) => losses.has(seq));
    for (const item of items) item.losses = losses.get(item.seq) ?? 0;
    bus
      .publishToStream(workSubject(trafficClass, model), workFrameCodec.encode({ ...sent, items }))
      .catch(() => refuseRequests(bus, mine, LOST));
  }
}

/**
 * Ends a job that used up its deliveries: the error becomes its result, its message is copied to the dead letters, and only then
 * is it terminated. What fails on the way leaves the message where it is.
 */
export async function buryJob(bus: Bus, work: Work, error: SpillwayError): Promise<void> {
  const { item, frame, model } = work;
  if (!item.job) throw new Error('bug: a request without a job cannot be buried');
  const { failed } = await storeResult(bus, errorMessage(item.job, { model, madeAtMs: wallClock.epochMs() }, error));
  const { deliveries, payload } = frame.message;
  if (failed) await bury(bus, deadJob(item.job, error, payload, deliveries)); // else it has an answer after all
  frame.message.term();
}

/**
 * Gives a job that waits on its last delivery to somebody else: as a new message, for the old one would not be delivered again. A
 * crash in between leaves both; the result of the first to run stands.
 */
export function reissueJob(bus: Bus, { frame, model, trafficClass }: Work): Promise<void> {
  return reissueMessage(bus, { model, trafficClass, durable: true }, frame.message);
}

/** As a new message, for this one was delivered for the last time. @throws SpillwayError UNAVAILABLE, or OVERLOADED: it stays. */
export async function reissueMessage(
  bus: Bus,
  { model, trafficClass, durable }: { model: string; trafficClass: TrafficClass; durable: boolean },
  message: Pick<FrameMessage, 'payload' | 'term'>,
): Promise<void> {
  const subject = durable ? jobsSubject(trafficClass, model) : workSubject(trafficClass, model);
  await bus.publishToStream(subject, message.payload);
  message.term();
}
