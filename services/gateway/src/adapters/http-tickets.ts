import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JobRecord } from '@spillway/contracts/buckets';
import { HEADERS } from '@spillway/contracts/headers';
import type { Name } from '@spillway/contracts/names';
import { isErrorCode } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { KeyQuota } from '../core/admission/key-quota.ts';
import { hrefOf, type JobView, writeJob } from '../core/job-view.ts';
import type { Preference } from '../core/prefer.ts';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import { ticket } from '../core/receipt.ts';
import { putReceipt } from '../core/receipt-fields.ts';
import type { InferRequest, Prepared } from '../core/request.ts';
import type { InferContext } from './door-context.ts';
import { prepareTicket, takeTicket } from './take-ticket.ts';

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

  /** `prefer: respond-async`: a job at once. */
  order(call: TicketCall): void {
    prepareTicket(this.#context, call.request, {
      ready: (prepared, deadlineMs) => void this.#give(call, prepared, deadlineMs).catch(call.fail),
      failed: call.fail,
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
    const { clock, jobs, observer } = this.#context;
    const key = req.headers[HEADERS.idempotencyKey] as string | undefined;
    const { parent } = call;
    const order = { request, prepared, body, key, outputs, deadlineMs, parent };
    const record = await takeTicket(this.#context, order);
    let view: JobView | undefined;
    if (preference.waitMs > 0 && jobs !== undefined) {
      const left = new AbortController();
      res.once('close', () => left.abort());
      view = await jobs.ended({ tenant: record.tenant as Name, job: record.job }, preference.waitMs, left.signal);
    }
    if (res.destroyed) return;
    const receipt = ticket(prepared.route.version);
    const pairs: string[] = [];
    putReceipt((name, value) => pairs.push(name, value), call, request.trafficClass, receipt);
    putRateLimits((name, value) => pairs.push(name, value), call.quota, clock.now());
    if (preference.respondAsync) pairs.push('preference-applied', 'respond-async');
    send(res, pairs, record, view);
    observer.end({ door: 'http', ...call, request, receipt });
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
