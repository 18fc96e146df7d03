import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JobRecord } from '@spillway/contracts/buckets';
import { HEADERS } from '@spillway/contracts/headers';
import type { Name } from '@spillway/contracts/names';
import { isErrorCode } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { crashPoint } from '@spillway/lifecycle/crash-point';
import type { KeyQuota } from '../core/admission/key-quota.ts';
import { hrefOf, isOpen, type JobView, writeJob } from '../core/job-view.ts';
import type { Preference } from '../core/prefer.ts';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import { ticket } from '../core/receipt.ts';
import { putReceipt } from '../core/receipt-fields.ts';
import type { InferRequest, Prepared } from '../core/request.ts';
import type { InferContext } from './door-context.ts';
import type { TakenJob } from './job-desk.ts';
import { prepareTicket, type ReadyTicket, takeTicket } from './take-ticket.ts';

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
      ready: (ready) => void this.#give(call, ready).catch(call.fail),
      failed: call.fail,
    });
  }

  /** The ladder's last rung before refusal, charged there. The request's deadline was for an answer now: the job has none. */
  fromLadder(call: TicketCall, prepared: Prepared): void {
    this.#give(call, { prepared, deadlineMs: Number.POSITIVE_INFINITY, onQuota: false }).catch(call.fail);
  }

  /** A job that this request has become before. */
  known(call: TicketCall, record: JobRecord): void {
    this.#tell(call, { record, isNew: false }, '').catch(call.fail);
  }

  async #give(of: TicketCall, ready: ReadyTicket): Promise<void> {
    const { req, call, request, body, outputs } = of;
    const key = req.headers[HEADERS.idempotencyKey] as string | undefined;
    const { parent } = call;
    const order = { ...ready, request, body, key, outputs, parent };
    await this.#tell(of, await takeTicket(this.#context, order), ready.prepared.route.version);
  }

  async #tell({ res, call, request, preference }: TicketCall, { record, isNew }: TakenJob, version: string) {
    const { clock, jobs, observer } = this.#context;
    const address = { tenant: record.tenant as Name, job: record.job };
    const waits = preference.waitMs > 0;
    let view: JobView | undefined;
    if (waits) {
      const left = new AbortController();
      res.once('close', () => left.abort());
      view = await jobs?.ended(address, preference.waitMs, left.signal);
    } else if (!isNew) view = await jobs?.view(address);
    crashPoint('gateway.before-202');
    if (res.destroyed) return;
    const receipt = ticket(version);
    const pairs: string[] = [];
    putReceipt((name, value) => pairs.push(name, value), call, request.trafficClass, receipt);
    putRateLimits((name, value) => pairs.push(name, value), call.quota, clock.now());
    if (preference.respondAsync) pairs.push('preference-applied', 'respond-async');
    send(res, pairs, view ?? { ...record, state: 'queued', record }, waits);
    observer.end({ door: 'http', ...call, request, receipt });
  }
}

/** To a caller that waited the answer, if it has come; else the ticket with the job's state. @throws SpillwayError The job's own. */
function send(res: ServerResponse, pairs: string[], { answer, ...view }: JobView, waited: boolean): void {
  if (waited && view.error !== undefined) throw errorOf(view.error);
  const done = waited && answer !== undefined;
  const body = Buffer.from(done ? answer : writeJob(view));
  pairs.push('location', hrefOf(view.job), 'content-type', 'application/json', 'content-length', String(body.length));
  if (isOpen(view)) pairs.push('retry-after', String(ASK_AGAIN_S));
  res.writeHead(done ? 200 : 202, pairs);
  res.end(body);
}

const errorOf = ({ code, message, reason }: NonNullable<JobView['error']>): SpillwayError =>
  new SpillwayError(isErrorCode(code) ? code : 'INTERNAL', message, { reason: reason || undefined });
