import type { Batch, BatchItem, Job } from '@spillway/contracts/messages';
import type { Dispatch } from './dispatcher.ts';
import type { Work } from './work.ts';

/** Time that the run of a job may take although nobody waits for it. */
const JOB_BUDGET_MS = 600_000;

const budgetMs = (work: Work, nowMs: number): number => {
  if (!work.frame.durable) return Math.max(0, work.deadlineMs - nowMs);
  return work.item.budgetMs > 0 ? work.item.budgetMs : JOB_BUDGET_MS;
};

/** The message for the worker. Tensors are handed on as they came. O(items). */
export function assembleBatch(dispatch: Dispatch, nowMs: number, traceparent: string): Batch {
  const { work, batchId, model, rows, closedBy } = dispatch;
  const first = work[0] as Work;
  const replyTo: string[] = [];
  const items: BatchItem[] = [];
  for (const one of work) {
    const { item, frame } = one;
    // Requests of one gateway usually follow each other: the last inbox is the likeliest.
    let inbox = replyTo.length - 1;
    if (replyTo[inbox] !== frame.replyTo) {
      inbox = replyTo.indexOf(frame.replyTo);
      if (inbox < 0) inbox = replyTo.push(frame.replyTo) - 1;
    }
    const sent: BatchItem = {
      seq: item.seq,
      requestId: item.requestId,
      replyTo: inbox,
      rows: item.rows,
      budgetMs: budgetMs(one, nowMs),
      queueMs: one.agedMs + nowMs - one.enqueuedAtMs,
      traceparent: item.traceparent,
      tensors: item.tensors,
      tenant: item.tenant,
    };
    if (item.job) sent.job = { ...jobFields(item.job), ackSubject: frame.message.ackSubject };
    items.push(sent);
  }
  const { version, variant } = first.route;
  return {
    batchId,
    model,
    version,
    variant,
    closedBy,
    rows,
    replyTo,
    items,
    traceparent,
    trafficClass: first.trafficClass,
  };
}

/** A decoded message keeps its defaults on its prototype, which a spread loses: those that every job has are named. */
const jobFields = (all: Job): Job => {
  const { tenant, job, originSubject, traceparent } = all;
  return { ...all, tenant, job, originSubject, traceparent };
};
