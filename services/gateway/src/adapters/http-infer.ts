import type { IncomingMessage, ServerResponse } from 'node:http';
import { classRank } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { acceptedEncoding } from '../core/accept-encoding.ts';
import type { KeyQuota } from '../core/admission/key-quota.ts';
import { readPrefer } from '../core/prefer.ts';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import { rungOf } from '../core/receipt.ts';
import { putReceipt, type ReceiptPlace, receiptParameters } from '../core/receipt-fields.ts';
import { refusalOf } from '../core/refusal.ts';
import type { Answer, InferRequest, Receipt } from '../core/request.ts';
import { lowerByPriority, readMetadata, smallerBudget } from '../core/request-metadata.ts';
import { requireScope } from '../core/scopes.ts';
import type { InferContext } from './door-context.ts';
import { ACCEPTED_ENCODINGS, ENCODING_REASON, readBody } from './http-body.ts';
import { compress, MIN_COMPRESSED_BYTES } from './http-compress.ts';
import type { Call, HttpDialect } from './http-dialect.ts';
import { HttpTickets, type TicketCall } from './http-tickets.ts';
import type { KeyedSettle } from './idempotent-calls.ts';
import { nameFromUrl, type Target } from './infer-paths.ts';

/** The hot routes of the HTTP door, on plain node:http: those that run a model. */

type Caller = {
  startMs: number;
  parent: string;
  traceparent: string;
  requestId: string;
  place: ReceiptPlace;
  /** Of the caller's key. */
  quota?: KeyQuota | undefined;
  request?: InferRequest;
  /** It has its answer, which may still be on its way. */
  settled?: boolean;
};

/** The receipt as raw header pairs: `writeHead` takes them without building an object. */
function receiptHeaders(caller: Caller, receipt: Receipt): string[] {
  if (caller.place === 'none') return [HEADERS.requestId, caller.requestId];
  const headers: string[] = [];
  putReceipt((name, value) => headers.push(name, value), caller, caller.request?.trafficClass ?? '', receipt);
  return headers;
}

export class InferRoute<C extends Call> {
  readonly #context: InferContext;
  readonly #dialect: HttpDialect<C>;
  readonly #tickets: HttpTickets;

  constructor(context: InferContext, dialect: HttpDialect<C>) {
    this.#context = context;
    this.#dialect = dialect;
    this.#tickets = new HttpTickets(context);
  }

  handle(req: IncomingMessage, res: ServerResponse, route: Target): void {
    const { clock, ids, observer } = this.#context;
    const parent = (req.headers['traceparent'] as string | undefined) ?? '';
    const caller: Caller = {
      startMs: clock.now(),
      parent,
      traceparent: observer.begin(parent),
      requestId: ids.next(),
      place: 'headers',
    };
    try {
      const identity = this.#context.keys.identify(req.headers.authorization);
      caller.quota = this.#context.admission.quotaOf(identity.keyId);
      requireScope(identity, 'infer');
      const metadata = readMetadata((name) => req.headers[name] as string | undefined, identity.trafficClass);
      if (metadata.requestId !== undefined) caller.requestId = metadata.requestId;
      caller.place = metadata.receipt;
      const model = nameFromUrl(route.model, 'model');
      const version = route.version === '' ? '' : nameFromUrl(route.version, 'version');
      const { tenant, keyId } = identity;
      const rank = classRank(metadata.trafficClass);
      const { accept, budgetMs, noCache } = metadata;
      const preference = readPrefer(req.headers['prefer'] as string | undefined);
      if (preference.respondAsync) requireScope(identity, 'jobs');
      const { admission } = this.#context;
      const mayTicket = identity.scopes.includes('jobs');
      const acceptsTicket = mayTicket && (accept.ticket || preference.respondAsync);
      const refusal =
        admission.atDoor(rank, keyId, caller.startMs) ??
        admission.beforeBody({ model, rank, tenant, keyId, budgetMs, noCache, acceptsTicket }, caller.startMs);
      if (refusal !== undefined) {
        this.#fail(req, res, caller, refusalOf(refusal)); // not thrown: under a flood that would be most of its cost
        return;
      }
      readBody(req, this.#context.maxBodyBytes, (body) => {
        if (body instanceof SpillwayError) {
          this.#fail(req, res, caller, body);
          return;
        }
        if (res.closed) {
          this.#left(caller); // while its body was being decoded
          return;
        }
        try {
          const call = this.#dialect.read(body, req, () => this.#context.pipeline.model(model));
          const timeoutMs = call.timeoutUs === undefined ? undefined : call.timeoutUs / 1_000;
          const request: InferRequest = {
            id: caller.requestId,
            tenant: identity.tenant,
            keyId: identity.keyId,
            accept: call.accept ?? metadata.accept,
            trafficClass: lowerByPriority(metadata.trafficClass, call.priority ?? 0),
            model,
            version,
            inputs: call.inputs,
            receivedAtMs: caller.startMs,
            budgetMs: smallerBudget(metadata.budgetMs, timeoutMs),
            noCache: metadata.noCache,
            noStore: metadata.noStore,
            traceparent: caller.traceparent,
            tracestate: metadata.tracestate,
          };
          caller.request = request;
          caller.place = call.receipt ?? caller.place;
          if (!preference.respondAsync && !(request.accept.ticket && mayTicket)) {
            this.#submit(req, res, caller, request, call, body, undefined);
            return;
          }
          const fail = (thrown: unknown) => this.#fail(req, res, caller, SpillwayError.from(thrown));
          const outputs = call.asked?.names ?? [];
          const ticket: TicketCall = { req, res, call: caller, request, body, outputs, preference, fail };
          if (preference.respondAsync) this.#order(ticket, caller, call);
          else this.#submit(req, res, caller, request, call, body, ticket);
        } catch (thrown) {
          this.#fail(req, res, caller, SpillwayError.from(thrown));
        }
      });
    } catch (thrown) {
      this.#fail(req, res, caller, SpillwayError.from(thrown));
    }
  }

  /** A job, unless the answer is there already or on its way under its key. */
  #order(ticket: TicketCall, caller: Caller, call: C): void {
    const { keyed } = this.#context;
    const { req, res, request, body, fail } = ticket;
    const key = req.headers[HEADERS.idempotencyKey] as string | undefined;
    if (key === undefined || keyed === undefined) {
      this.#tickets.order(ticket);
      return;
    }
    const decide = (isKnown: boolean): void => {
      if (res.destroyed) this.#left(caller);
      else if (isKnown) this.#submit(req, res, caller, request, call, body, ticket);
      else this.#tickets.order(ticket);
    };
    keyed.isKnown({ key, body }, request).then(decide).catch(fail);
  }

  #submit(
    req: IncomingMessage,
    res: ServerResponse,
    caller: Caller,
    request: InferRequest,
    call: C,
    body: Uint8Array,
    ticket: TicketCall | undefined,
  ): void {
    const { pipeline, keyed } = this.#context;
    const key = req.headers[HEADERS.idempotencyKey] as string | undefined;
    const settle: KeyedSettle = {
      answered: (answer) => this.#answer(req, res, caller, answer, call),
      failed: (error) => this.#fail(req, res, caller, error),
      ...(ticket && {
        ticket: (prepared) => {
          caller.settled = true;
          this.#tickets.fromLadder(ticket, prepared);
        },
        job: (record) => {
          caller.settled = true;
          this.#tickets.known(ticket, record);
        },
      }),
    };
    const giveUp =
      key === undefined || keyed === undefined
        ? pipeline.submit(request, settle)
        : keyed.submit({ key, body }, request, settle);
    res.on('close', () => {
      if (res.writableEnded || caller.settled) return;
      giveUp();
      this.#left(caller);
    });
  }

  #left(caller: Caller): void {
    const error = new SpillwayError('CANCELLED', 'the client closed the connection');
    this.#context.observer.end({ door: 'http', ...caller, error });
  }

  #answer(req: IncomingMessage, res: ServerResponse, caller: Caller, answer: Answer, call: C): void {
    try {
      const { receipt } = answer;
      const inBody =
        caller.place === 'body' ? receiptParameters(caller, caller.request?.trafficClass ?? '', receipt) : undefined;
      const { body, headerLength } = this.#dialect.write(answer, call, inBody);
      const headers = receiptHeaders(caller, receipt);
      if (headerLength === undefined) headers.push('content-type', this.#dialect.contentType);
      else
        headers.push('content-type', 'application/octet-stream', HEADERS.inferenceHeaderLength, String(headerLength));
      this.#putRateLimits(caller, headers);
      this.#send(req, res, body, headers);
      caller.settled = true;
      this.#context.observer.end({ door: 'http', ...caller, receipt });
    } catch (thrown) {
      this.#fail(req, res, caller, SpillwayError.from(thrown));
    }
  }

  #putRateLimits({ quota }: Caller, pairs: string[]): void {
    if (quota === undefined) return; // before a function is made: most keys have none
    putRateLimits((name, value) => pairs.push(name, value), quota, this.#context.clock.now());
  }

  #send(req: IncomingMessage, res: ServerResponse, body: string | Buffer, headers: string[]): void {
    const bytes = Buffer.byteLength(body);
    const wanted = bytes < MIN_COMPRESSED_BYTES ? undefined : (req.headers['accept-encoding'] as string | undefined);
    const encoding = wanted === undefined ? undefined : acceptedEncoding(wanted);
    if (encoding === undefined) {
      sendPlain(res, body, bytes, headers);
      return;
    }
    compress(body, encoding, (compressed) => {
      if (res.destroyed) return;
      if (compressed === undefined) sendPlain(res, body, bytes, headers);
      else {
        headers.push('content-encoding', encoding, 'vary', 'accept-encoding');
        sendPlain(res, compressed, compressed.length, headers);
      }
    });
  }

  #fail(req: IncomingMessage, res: ServerResponse, caller: Caller, error: SpillwayError): void {
    this.#context.observer.end({ door: 'http', ...caller, error });
    caller.settled = true;
    if (res.headersSent || res.destroyed) return;
    const { status, body, headers } = this.#dialect.refuse(error);
    const text = JSON.stringify(body);
    const bytes = Buffer.byteLength(text);
    const pairs = [HEADERS.requestId, caller.requestId];
    if (caller.place !== 'none') {
      pairs.push(HEADERS.rung, rungOf(error));
      if (caller.request !== undefined) pairs.push(HEADERS.trafficClass, caller.request.trafficClass);
      if (caller.traceparent !== '') pairs.push(HEADERS.traceId, caller.traceparent.slice(3, 35));
    }
    this.#putRateLimits(caller, pairs);
    if (error.code === 'UNAUTHENTICATED') pairs.push('www-authenticate', 'Bearer');
    if (error.reason === ENCODING_REASON) pairs.push('accept-encoding', ACCEPTED_ENCODINGS);
    for (const name in headers) pairs.push(name, headers[name] as string);
    pairs.push('content-type', 'application/json', 'content-length', String(bytes));
    res.writeHead(status, pairs);
    res.end(text, bytes === text.length ? 'latin1' : 'utf8');
    // The rest of a short body is usually in the same packet.
    if (!req.complete) setImmediate(closeUnlessComplete, req);
  }
}

function sendPlain(res: ServerResponse, body: string | Buffer, bytes: number, headers: string[]): void {
  headers.push('content-length', String(bytes));
  res.writeHead(200, headers);
  // ASCII, as almost every answer is, needs no conversion on its way to the socket.
  if (typeof body === 'string') res.end(body, bytes === body.length ? 'latin1' : 'utf8');
  else res.end(body);
}

/** Time for the rest of a refused body to arrive; closing at once would take the answer from a client that still sends. */
const LINGER_MS = 500;

function closeUnlessComplete(req: IncomingMessage): void {
  if (req.complete) return;
  setTimeout(() => {
    if (!req.complete) req.socket.destroy();
  }, LINGER_MS).unref();
}
