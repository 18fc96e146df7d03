import type { TrafficClass } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { GrpcService } from '@spillway/rpc/method';
import { serveUnary, type UnaryCall } from '@spillway/rpc/unary';
import type { KeyQuota } from '../core/admission/key-quota.ts';
import { readPrefer } from '../core/prefer.ts';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import { rungOf, ticket } from '../core/receipt.ts';
import { putReceipt, type ReceiptPlace } from '../core/receipt-fields.ts';
import type { Answer, InferRequest, Receipt } from '../core/request.ts';
import { requireScope } from '../core/scopes.ts';
import type { Ending } from '../telemetry.ts';
import type { DoorContext } from './door-context.ts';
import { asBuffer, BYTES, beginRequest, callerOf, parentOf, passDoor, requestOf, usableMs } from './grpc-call.ts';
import type { GrpcCall, GrpcDialect } from './grpc-dialect.ts';
import type { KeyedSettle } from './idempotent-calls.ts';
import { prepareTicket, type ReadyTicket, takeTicket } from './take-ticket.ts';

/** `ModelInfer` and its like: one request, one answer, the receipt in the trailers. */
export const serveInfer = <C extends GrpcCall>(
  context: DoorContext,
  path: string,
  dialect: GrpcDialect<C>,
): GrpcService =>
  serveUnary({ path, request: BYTES, response: BYTES }, (message, call) =>
    infer(context, dialect, asBuffer(message), call),
  );

function infer<C extends GrpcCall>(
  context: DoorContext,
  dialect: GrpcDialect<C>,
  message: Buffer,
  call: UnaryCall,
): Promise<Uint8Array> {
  const { clock, keyed, observer, pipeline } = context;
  const ending = beginRequest(context, parentOf(call), undefined);
  const asked = dialect.empty();
  return new Promise((resolve, reject) => {
    let over = false;
    let quota: KeyQuota | undefined;
    let place: ReceiptPlace = 'headers';
    const fail = (thrown: unknown) => {
      if (over) return;
      over = true;
      ending.error = SpillwayError.from(thrown);
      observer.end(ending);
      call.setTrailer(HEADERS.requestId, ending.requestId);
      call.setTrailer(HEADERS.rung, rungOf(ending.error));
      if (ending.request !== undefined) call.setTrailer(HEADERS.trafficClass, ending.request.trafficClass);
      putRateLimits(call.setTrailer, quota, clock.now());
      reject(ending.error);
    };
    const answered = (request: InferRequest, answer: Answer) => {
      if (over) return;
      const { trafficClass } = request;
      const { requestId, traceparent } = ending;
      const of = place === 'body' ? { requestId, traceparent, trafficClass } : undefined;
      finish(dialect.answer(answer, asked, of), answer.receipt, trafficClass);
    };
    const finish = (bytes: Uint8Array, receipt: Receipt, trafficClass: TrafficClass) => {
      if (over) return;
      over = true;
      putRateLimits(call.setTrailer, quota, clock.now());
      if (place === 'none') call.setTrailer(HEADERS.requestId, ending.requestId);
      else putReceipt(call.setTrailer, ending, trafficClass, receipt);
      ending.receipt = receipt;
      observer.end(ending);
      resolve(bytes);
    };
    try {
      const caller = callerOf(context, call);
      quota = context.admission.quotaOf(caller.identity.keyId);
      ending.requestId = caller.metadata.requestId ?? ending.requestId;
      passDoor(context, caller);
      dialect.read(message, asked, (name) => pipeline.model(name));
      const leftMs = call.remainingMs === undefined ? undefined : usableMs(call.remainingMs);
      const request = requestOf(caller, asked, ending, leftMs);
      ending.request = request;
      place = asked.receipt ?? caller.metadata.receipt;
      const tickets = ticketOf(context, { dialect, call, request, message, asked, ending, done: finish, fail });
      const preference = readPrefer(call.header('prefer'));
      if (preference.respondAsync) {
        requireScope(caller.identity, 'jobs');
        if (tickets === undefined) throw new SpillwayError('UNSUPPORTED', 'prefer: this method gives no tickets');
        prepareTicket(context, request, { ready: tickets.give, failed: fail });
        return;
      }
      const mayTicket = request.accept.ticket && caller.identity.scopes.includes('jobs');
      let isJob = false;
      const settle: KeyedSettle = {
        answered: (answer) => {
          try {
            answered(request, answer);
          } catch (thrown) {
            fail(thrown);
          }
        },
        failed: fail,
        ...(mayTicket &&
          tickets && {
            ticket: (prepared) => {
              isJob = true;
              tickets.give({ prepared, deadlineMs: Number.POSITIVE_INFINITY, onQuota: false });
            },
            job: ({ job }) => tickets.tell(job, ''),
          }),
      };
      const key = call.header(HEADERS.idempotencyKey);
      const giveUp =
        key === undefined ? pipeline.submit(request, settle) : keyed.submit({ key, body: message }, request, settle);
      call.onCancel(() => {
        if (over || isJob) return; // the call has ended in order: grpc-js calls that cancelled too
        giveUp();
        fail(new SpillwayError('CANCELLED', 'the client cancelled the call'));
      });
    } catch (thrown) {
      fail(thrown);
    }
  });
}

/** Makes a job of a prepared request, and answers with the ticket of a job; undefined: callers of this service take none. */
function ticketOf<C extends GrpcCall>(
  context: DoorContext,
  of: {
    dialect: GrpcDialect<C>;
    call: UnaryCall;
    request: InferRequest;
    message: Buffer;
    asked: C;
    ending: Ending;
    done(bytes: Uint8Array, receipt: Receipt, trafficClass: TrafficClass): void;
    fail(thrown: unknown): void;
  },
): { give(ready: ReadyTicket): void; tell(job: string, version: string): void } | undefined {
  const { dialect, call, request, message: body, asked, ending, done, fail } = of;
  const { ticket: tickets } = dialect;
  if (tickets === undefined) return undefined;
  const tell = (job: string, version: string) => {
    const receipt = ticket(version);
    done(tickets.answer({ model: request.model, outputs: [], receipt }, asked, job), receipt, request.trafficClass);
  };
  const give = (ready: ReadyTicket) => {
    const key = call.header(HEADERS.idempotencyKey);
    const { parent } = ending;
    const outputs = tickets.outputs(asked);
    takeTicket(context, { ...ready, request, body, key, outputs, parent })
      .then(({ record: { job } }) => tell(job, ready.prepared.route.version))
      .catch(fail);
  };
  return { give, tell };
}
