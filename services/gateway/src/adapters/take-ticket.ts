import { hash } from 'node:crypto';
import type { JobRecord } from '@spillway/contracts/buckets';
import type { Name } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { requestJobId } from '../core/job-id.ts';
import type { InferRequest, Prepared } from '../core/request.ts';
import type { InferContext } from './door-context.ts';

/** Look-ups of a job may take so long before it is refused as retryable. */
const MAX_PREPARE_MS = 5_000;

/** A request that becomes a job, at any door. */
export type TicketOrder = {
  request: InferRequest;
  prepared: Prepared;
  /** What was asked, as it came: a repetition under the same key is held against it. */
  body: Uint8Array;
  /** The caller's idempotency key, or the id that the caller chose for the job; neither: it gets one of its own. */
  key?: string | undefined;
  job?: string | undefined;
  outputs: string[];
  /** On the gateway's clock; Infinity: none. */
  deadlineMs: number;
  parent: string;
};

/** Resolves when the job is stored. @throws SpillwayError. */
export async function takeTicket({ ids, jobs }: InferContext, order: TicketOrder): Promise<JobRecord> {
  if (jobs === undefined) throw new SpillwayError('UNSUPPORTED', 'prefer: respond-async is not served here');
  const { request, prepared, body, key, outputs, deadlineMs, parent } = order;
  const { tenant, model } = request;
  const job = order.job ?? requestJobId({ tenant, model, unique: ids.next(), key });
  return jobs.take({
    address: { tenant: tenant as Name, job },
    named: order.job !== undefined || key !== undefined,
    digest: hash('sha256', body, 'hex'),
    request,
    prepared,
    outputs,
    deadlineMs,
    parent,
  });
}

/** `prefer: respond-async`: the deadline that the caller gave is the job's; without one it has as long as it takes. */
export function prepareTicket(
  { pipeline }: InferContext,
  request: InferRequest,
  handover: { ready(prepared: Prepared, deadlineMs: number): void; failed(error: SpillwayError): void },
): void {
  const { budgetMs = Number.POSITIVE_INFINITY, receivedAtMs } = request;
  pipeline.prepare(
    { ...request, budgetMs: Math.min(MAX_PREPARE_MS, budgetMs) },
    { ready: (prepared) => handover.ready(prepared, receivedAtMs + budgetMs), failed: handover.failed },
  );
}
