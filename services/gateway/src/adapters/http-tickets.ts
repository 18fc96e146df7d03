import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JobRecord } from '@spillway/contracts/buckets';
import { HEADERS } from '@spillway/contracts/headers';
import type { Name } from '@spillway/contracts/names';
import { isErrorCode } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { KeyQuota } from '../core/admission/key-quota.ts';
import { requestJobId } from '../core/job-id.ts';
import { hrefOf, type JobView, writeJob } from '../core/job-view.ts';
import type { Preference } from '../core/prefer.ts';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import { ticket } from '../core/receipt.ts';
import { putReceipt } from '../core/receipt-fields.ts';
import type { InferRequest, Prepared } from '../core/request.ts';
import type { InferContext } from './door-context.ts';

/** Look-ups of a job may take so long before it is refused as retryable. */
const MAX_PREPARE_MS = 5_000;
/** When it is worth asking for a job. */
const ASK_AGAIN_S = 1;

/** A request of the HTTP door that is or may become a job. `fail` answers it with an error. */
export type TicketCall = {
  req: IncomingMessage;
  res: ServerResponse;
  call: { startMs: number; parent: string; traceparent: string; requestId: string; quota?: KeyQuota | undefined };
  request: InferRequest;
  body: Uint8Array;
  /** Those that the result shall hold; empty: all. */
  outputs: string[];
  preference: Preference;
  fail(thrown: unknown): void;
};

/** Turns requests into durable jobs: those that ask for it, and those for which the ladder has only a ticket left. */
export class HttpTickets {
  readonly #context: InferContext;

  constructor(context: InferContext) {
    this.#context = context;
  }

  /** `prefer: respond-async`: a job at once. The deadline that the caller gave is the job's; without one it has as long as it takes. */
  order(call: TicketCall): void {
    const { request, fail } = call;
    const deadlineMs =
      request.budgetMs === undefined ? Number.POSITIVE_INFINITY : request.receivedAtMs + request.budgetMs;
    const preparing: InferRequest = {
      ...request,
      budgetMs: Math.min(MAX_PREPARE_MS, request.budgetMs ?? MAX_PREPARE_MS),
    };
    this.#context.pipeline.prepare(preparing, {
      ready: (prepared) => void this.#give(call, prepared, deadlineMs).catch(fail),
      failed: fail,
    });
  }

  /** The ladder's last rung before refusal. The request's deadline was for an answer now: the job has none. */
  fromLadder(call: TicketCall, prepared: Prepared): void {
    this.#give(call, prepared, Number.POSITIVE_INFINITY).catch(call.fail);
  }

  async #give(
    { req, res, call, request, body, outputs, preference }: TicketCall,
    prepared: Prepared,
    deadlineMs: number,
  ): Promise<void> {
    const { clock, ids, jobs, observer } = this.#context;
    if (jobs === undefined) throw new SpillwayError('UNSUPPORTED', 'prefer: respond-async is not served here');
    const key = req.headers[HEADERS.idempotencyKey] as string | undefined;
    const { tenant, model } = request;
    const job = requestJobId({ tenant, model, unique: ids.next(), key });
    const address = { tenant: tenant as Name, job };
    const digest = hash('sha256', body, 'hex');
    const { parent } = call;
    const record = await jobs.take({
      address,
      named: key !== undefined,
      digest,
      request,
      prepared,
      outputs,
      deadlineMs,
      parent,
    });
    let view: JobView | undefined;
    if (preference.waitMs > 0) {
      const left = new AbortController();
      res.once('close', () => left.abort());
      view = await jobs.ended(address, preference.waitMs, left.signal);
    }
    if (res.destroyed) return;
    const receipt = ticket(prepared.route.version);
    const pairs: string[] = [];
    putReceipt((name, value) => pairs.push(name, value), call, request.trafficClass, receipt);
    putRateLimits((name, value) => pairs.push(name, value), call.quota, clock.now());
    if (preference.respondAsync) pairs.push('preference-applied', 'respond-async');
    observer.end({ door: 'http', ...call, request, receipt });
    send(res, pairs, record, view);
  }
}

/** The answer, if it has come while the caller waited; else the ticket. @throws SpillwayError The job's own. */
function send(res: ServerResponse, pairs: string[], record: JobRecord, view: JobView | undefined): void {
  if (view?.error !== undefined) throw errorOf(view.error);
  const done = view?.answer !== undefined;
  const body = Buffer.from(view?.answer ?? writeJob({ ...record, state: 'queued', record }));
  pairs.push('location', hrefOf(record.job), 'content-type', 'application/json', 'content-length', String(body.length));
  if (!done) pairs.push('retry-after', String(ASK_AGAIN_S));
  res.writeHead(done ? 200 : 202, pairs);
  res.end(body);
}

const errorOf = ({ code, message, reason }: NonNullable<JobView['error']>): SpillwayError =>
  new SpillwayError(isErrorCode(code) ? code : 'INTERNAL', message, { reason: reason || undefined });
