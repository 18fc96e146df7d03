import type { IncomingMessage, ServerResponse } from 'node:http';
import { classRank } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toOip } from '@spillway/errors/to-oip';
import type { KeyQuota } from '../core/admission/key-quota.ts';
import { type AskedOutputs, type InferCall, readInferCall, writeInferAnswer } from '../core/oip-infer.ts';
import { readPrefer } from '../core/prefer.ts';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import { rungOf } from '../core/receipt.ts';
import { putReceipt } from '../core/receipt-fields.ts';
import { refusalOf } from '../core/refusal.ts';
import type { Answer, InferRequest, Receipt } from '../core/request.ts';
import { lowerByPriority, readHeaderLength, readMetadata, smallerBudget } from '../core/request-metadata.ts';
import { requireScope } from '../core/scopes.ts';
import type { InferContext } from './door-context.ts';
import { readBody } from './http-body.ts';
import { HttpTickets, type TicketCall } from './http-tickets.ts';

/** The hot route of the HTTP door, on plain node:http: `POST /v2/models/{m}[/versions/{v}]/infer`. */

const PATH = /^\/v2\/models\/([^/?]+)(?:\/versions\/([^/?]+))?\/infer(?:\?|$)/;

/** Model and version of an infer route, as they stand in the URL; undefined: another route. */
export function matchInfer(url: string): { model: string; version: string } | undefined {
  const match = PATH.exec(url);
  return match === null ? undefined : { model: match[1] as string, version: match[2] ?? '' };
}

/** Percent-decodes a name of a URL once and holds it against the allowlist. */
export function nameFromUrl(text: string, what: string): string {
  let decoded = text;
  if (text.includes('%')) {
    try {
      decoded = decodeURIComponent(text);
    } catch {
      decoded = '';
    }
  }
  if (isName(decoded)) return decoded;
  throw new SpillwayError('MODEL_NOT_FOUND', `${what}: expected 1 to 64 letters, digits, "_" or "-"`);
}

type Call = {
  startMs: number;
  parent: string;
  traceparent: string;
  requestId: string;
  /** Of the caller's key. */
  quota?: KeyQuota | undefined;
  request?: InferRequest;
};

/** The receipt as raw header pairs: `writeHead` takes them without building an object. */
function receiptHeaders(call: Call, receipt: Receipt): string[] {
  const headers: string[] = [];
  putReceipt((name, value) => headers.push(name, value), call, call.request?.trafficClass ?? '', receipt);
  return headers;
}

export class InferRoute {
  readonly #context: InferContext;
  readonly #tickets: HttpTickets;

  constructor(context: InferContext) {
    this.#context = context;
    this.#tickets = new HttpTickets(context);
  }

  handle(req: IncomingMessage, res: ServerResponse, route: { model: string; version: string }): void {
    const { clock, ids, observer } = this.#context;
    const parent = (req.headers['traceparent'] as string | undefined) ?? '';
    const call: Call = { startMs: clock.now(), parent, traceparent: observer.begin(parent), requestId: ids.next() };
    try {
      const identity = this.#context.keys.identify(req.headers.authorization);
      call.quota = this.#context.admission.quotaOf(identity.keyId);
      requireScope(identity, 'infer');
      const metadata = readMetadata((name) => req.headers[name] as string | undefined, identity.trafficClass);
      if (metadata.requestId !== undefined) call.requestId = metadata.requestId;
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
        admission.atDoor(rank, keyId, call.startMs) ??
        admission.beforeBody({ model, rank, tenant, keyId, budgetMs, noCache, acceptsTicket }, call.startMs);
      if (refusal !== undefined) {
        this.#fail(req, res, call, refusalOf(refusal)); // not thrown: under a flood that would be most of its cost
        return;
      }
      const headerLength = readHeaderLength(req.headers[HEADERS.inferenceHeaderLength] as string | undefined);
      readBody(req, this.#context.maxBodyBytes, (body) => {
        if (body instanceof SpillwayError) {
          this.#fail(req, res, call, body);
          return;
        }
        try {
          const infer = readInferCall(body, headerLength);
          const request: InferRequest = {
            id: call.requestId,
            tenant: identity.tenant,
            keyId: identity.keyId,
            accept: infer.accept ?? metadata.accept,
            trafficClass: lowerByPriority(metadata.trafficClass, infer.priority),
            model,
            version,
            inputs: infer.inputs,
            receivedAtMs: call.startMs,
            budgetMs: smallerBudget(
              metadata.budgetMs,
              infer.timeoutUs === undefined ? undefined : infer.timeoutUs / 1_000,
            ),
            noCache: metadata.noCache,
            noStore: metadata.noStore,
            traceparent: call.traceparent,
          };
          call.request = request;
          if (!preference.respondAsync && !(request.accept.ticket && mayTicket)) {
            this.#submit(req, res, call, request, infer, undefined);
            return;
          }
          const fail = (thrown: unknown) => this.#fail(req, res, call, SpillwayError.from(thrown));
          const ticket: TicketCall = { req, res, call, request, body, preference, fail };
          if (preference.respondAsync) this.#tickets.order(ticket);
          else this.#submit(req, res, call, request, infer, ticket);
        } catch (thrown) {
          this.#fail(req, res, call, SpillwayError.from(thrown));
        }
      });
    } catch (thrown) {
      this.#fail(req, res, call, SpillwayError.from(thrown));
    }
  }

  #submit(
    req: IncomingMessage,
    res: ServerResponse,
    call: Call,
    request: InferRequest,
    { clientId, asked }: InferCall,
    ticket: TicketCall | undefined,
  ): void {
    let isJob = false;
    const giveUp = this.#context.pipeline.submit(request, {
      answered: (answer) => this.#answer(req, res, call, answer, clientId, asked),
      failed: (error) => this.#fail(req, res, call, error),
      ...(ticket && {
        ticket: (prepared) => {
          isJob = true;
          this.#tickets.fromLadder(ticket, prepared);
        },
      }),
    });
    res.on('close', () => {
      if (res.writableEnded || isJob) return;
      giveUp(); // the client has left
      const error = new SpillwayError('CANCELLED', 'the client closed the connection');
      this.#context.observer.end({ door: 'http', ...call, error });
    });
  }

  #answer(
    req: IncomingMessage,
    res: ServerResponse,
    call: Call,
    answer: Answer,
    clientId: string,
    asked: AskedOutputs,
  ): void {
    try {
      const { body, headerLength } = writeInferAnswer(answer, clientId, asked);
      const headers = receiptHeaders(call, answer.receipt);
      this.#putRateLimits(call, headers);
      if (headerLength === undefined) headers.push('content-type', 'application/json');
      else
        headers.push('content-type', 'application/octet-stream', HEADERS.inferenceHeaderLength, String(headerLength));
      const bytes = Buffer.byteLength(body);
      headers.push('content-length', String(bytes));
      res.writeHead(200, headers);
      // ASCII, as almost every answer is, needs no conversion on its way to the socket.
      if (typeof body === 'string') res.end(body, bytes === body.length ? 'latin1' : 'utf8');
      else res.end(body);
      this.#context.observer.end({ door: 'http', ...call, receipt: answer.receipt });
    } catch (thrown) {
      this.#fail(req, res, call, SpillwayError.from(thrown));
    }
  }

  #putRateLimits({ quota }: Call, pairs: string[]): void {
    if (quota === undefined) return; // before a function is made: most keys have none
    putRateLimits((name, value) => pairs.push(name, value), quota, this.#context.clock.now());
  }

  #fail(req: IncomingMessage, res: ServerResponse, call: Call, error: SpillwayError): void {
    this.#context.observer.end({ door: 'http', ...call, error });
    if (res.headersSent || res.destroyed) return;
    const { status, body, headers } = toOip(error);
    const text = JSON.stringify(body);
    const bytes = Buffer.byteLength(text);
    const pairs = [HEADERS.requestId, call.requestId, HEADERS.rung, rungOf(error)];
    if (call.request !== undefined) pairs.push(HEADERS.trafficClass, call.request.trafficClass);
    if (call.traceparent !== '') pairs.push(HEADERS.traceId, call.traceparent.slice(3, 35));
    if (error.code === 'UNAUTHENTICATED') pairs.push('www-authenticate', 'Bearer');
    if (error.code === 'UNSUPPORTED_MEDIA') pairs.push('accept-encoding', 'identity');
    this.#putRateLimits(call, pairs);
    for (const name in headers) pairs.push(name, headers[name] as string);
    pairs.push('content-type', 'application/json', 'content-length', String(bytes));
    res.writeHead(status, pairs);
    res.end(text, bytes === text.length ? 'latin1' : 'utf8');
    // The rest of a short body is usually in the same packet.
    if (!req.complete) setImmediate(closeUnlessComplete, req);
  }
}

/** Time for the rest of a refused body to arrive; closing at once would take the answer from a client that still sends. */
const LINGER_MS = 500;

function closeUnlessComplete(req: IncomingMessage): void {
  if (req.complete) return;
  setTimeout(() => {
    if (!req.complete) req.socket.destroy();
  }, LINGER_MS).unref();
}
