import { hash } from 'node:crypto';
import type { Name } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { requestJobId } from '../core/job-id.ts';
import type { InferRequest, Prepared } from '../core/request.ts';
import type { InferContext } from './door-context.ts';
import type { TakenJob } from './job-desk.ts';

/** Look-ups of a job may take so long before it is refused as retryable. */
const MAX_PREPARE_MS = 5_000;

/**
 * A request that is ready to become a job. `deadlineMs` is on the gateway's clock; Infinity: none. `onQuota`: what it costs is
 * still to be charged to its key.
 */
export type ReadyTicket = { prepared: Prepared; deadlineMs: number; onQuota: boolean };

/** A request that becomes a job, at any door. */
export type TicketOrder = ReadyTicket & {
  request: InferRequest;
  /** What was asked, as it came: a repetition under the same key is held against it. */
  body: Uint8Array;
  /** The caller's idempotency key, or the id that the caller chose for the job; neither: it gets one of its own. */
  key?: string | undefined;
  job?: string | undefined;
  outputs: string[];
  parent: string;
};

/** Resolves when the job is stored. @throws SpillwayError. */
export async function takeTicket(context: InferContext, order: TicketOrder): Promise<TakenJob> {
  const { ids, jobs, jobQuota, clock } = context;
  if (jobs === undefined) throw new SpillwayError('UNSUPPORTED', 'prefer: respond-async is not served here');
  const { request, prepared, body, key, outputs, deadlineMs, parent, onQuota } = order;
  const { tenant, model } = request;
  const job = order.job ?? requestJobId({ tenant, model, unique: ids.next(), key });
  const giveBack = onQuota ? jobQuota?.charge(request, prepared.item.cost, clock.now()) : undefined;
  try {
    const taken = await jobs.take({
      address: { tenant: tenant as Name, job },
      named: order.job !== undefined || key !== undefined,
      digest: hash('sha256', body, 'hex'),
      request,
      prepared,
      outputs,
      deadlineMs,
      parent,
    });
    if (!taken.isNew) giveBack?.();
    return taken;
  } catch (thrown) {
    giveBack?.();
    throw thrown;
  }
}

/**
 * `prefer: respond-async`: the deadline that the caller gave is the job's; without one it has as long as it takes. Refused when the
 * quota of its key is used up; the class may be lowered instead.
 */
export function prepareTicket(
  { pipeline, jobQuota, clock }: InferContext,
  request: InferRequest,
  handover: { ready(ticket: ReadyTicket): void; failed(error: SpillwayError): void },
): void {
  const { budgetMs = Number.POSITIVE_INFINITY, receivedAtMs } = request;
  try {
    jobQuota?.check(request, clock.now());
  } catch (thrown) {
    handover.failed(SpillwayError.from(thrown));
    return;
  }
  pipeline.prepare(
    { ...request, budgetMs: Math.min(MAX_PREPARE_MS, budgetMs) },
    {
      ready: (prepared) => handover.ready({ prepared, deadlineMs: receivedAtMs + budgetMs, onQuota: true }),
      failed: handover.failed,
    },
  );
}
