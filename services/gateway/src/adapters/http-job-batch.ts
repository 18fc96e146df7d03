import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Name } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { FastifyInstance } from 'fastify';
import { type JobLine, readJobLine } from '../core/job-line.ts';
import { hrefOf, type JobView } from '../core/job-view.ts';
import { ticket } from '../core/receipt.ts';
import type { Identity, InferRequest } from '../core/request.ts';
import { type RequestMetadata, readMetadata } from '../core/request-metadata.ts';
import type { Ending } from '../telemetry.ts';
import type { DoorContext } from './door-context.ts';
import { identifyCaller } from './http-identify.ts';
import { checkedName } from './infer-paths.ts';
import { prepareTicket, type ReadyTicket, takeTicket } from './take-ticket.ts';

/** Lines under way at a time: what costs is waiting for JetStream. */
const LINES_AT_ONCE = 64;
const TYPES = ['application/x-ndjson', 'application/jsonl', 'application/json-lines'];

type Caller = { identity: Identity; metadata: RequestMetadata };

/**
 * `POST /v1/jobs`: one job a line, `{"model", "job"?, "version"?, …infer request}`. The answer has a line for each as soon as JetStream
 * has its job, or with what is wrong with it, and at the end a sum. Lines already accepted stay accepted when the caller leaves.
 */
export function serveJobBatches(app: FastifyInstance, context: DoorContext): void {
  app.addContentTypeParser(TYPES, (_request, payload, done) => done(null, payload));
  app.post('/v1/jobs', async (request, reply) => {
    const { clock } = context;
    const identity = identifyCaller(context, request, reply, 'jobs');
    const metadata = readMetadata((name) => request.headers[name] as string | undefined, identity.trafficClass);
    const input = request.body as Readable | null;
    if (input === null || typeof (input as Partial<Readable>).pipe !== 'function') {
      throw new SpillwayError('UNSUPPORTED_MEDIA', `content-type: expected ${TYPES[0]}, one request a line`);
    }
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { 'content-type': TYPES[0] as string, 'cache-control': 'no-cache' });
    const sum = { accepted: 0, refused: 0 };
    const open = new Set<Promise<void>>();
    const take = async (text: string, line: number): Promise<void> => {
      try {
        const { job, state } = await takeLine(context, { identity, metadata }, text, clock.now());
        sum.accepted += 1;
        raw.write(`${JSON.stringify({ line, job, state, href: hrefOf(job) })}\n`);
      } catch (thrown) {
        const { code, message, reason = '', retryAfterMs: retry_after_ms } = SpillwayError.from(thrown);
        sum.refused += 1;
        raw.write(`${JSON.stringify({ line, error: { code, message, reason, retry_after_ms } })}\n`);
      }
    };
    let line = 0;
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line += 1;
      if (text.trim() === '') continue;
      const taken = take(text, line).finally(() => open.delete(taken));
      open.add(taken);
      if (open.size >= LINES_AT_ONCE) await Promise.race(open);
    }
    await Promise.all(open);
    raw.end(`${JSON.stringify(sum)}\n`);
    return reply;
  });
}

type KeptLine = Pick<JobView, 'job' | 'state'>;

/** @throws SpillwayError what is wrong with the line, or why it could not be kept. */
async function takeLine(context: DoorContext, caller: Caller, text: string, nowMs: number): Promise<KeptLine> {
  const { ids, observer } = context;
  const { traceparent: parent } = caller.metadata;
  const ending: Ending = {
    door: 'http',
    parent,
    traceparent: observer.begin(parent),
    startMs: nowMs,
    requestId: ids.next(),
  };
  try {
    return await keepLine(context, caller, text, ending);
  } catch (thrown) {
    ending.error = SpillwayError.from(thrown);
    throw ending.error;
  } finally {
    observer.end(ending);
  }
}

async function keepLine(context: DoorContext, caller: Caller, text: string, ending: Ending): Promise<KeptLine> {
  const { maxBodyBytes } = context;
  if (Buffer.byteLength(text) > maxBodyBytes) {
    throw new SpillwayError('PAYLOAD_TOO_LARGE', `line: expected at most ${maxBodyBytes} bytes`, {
      reason: 'max_body_bytes',
    });
  }
  const line = readJobLine(text);
  const request = requestOf(line, caller, ending);
  ending.request = request;
  const ready = await new Promise<ReadyTicket>((resolve, failed) => {
    prepareTicket(context, request, { ready: resolve, failed });
  });
  const { job, outputs } = line;
  const { parent } = ending;
  const body = Buffer.from(text);
  const { record, isNew } = await takeTicket(context, { ...ready, request, body, job, outputs, parent });
  ending.receipt = ticket(ready.prepared.route.version);
  if (isNew) return { job: record.job, state: 'queued' };
  return (
    (await context.jobs.view({ tenant: record.tenant as Name, job: record.job })) ?? { ...record, state: 'queued' }
  );
}

function requestOf(
  line: JobLine,
  { identity, metadata }: Caller,
  { requestId, traceparent, startMs }: Ending,
): InferRequest {
  return {
    id: requestId,
    tenant: identity.tenant,
    keyId: identity.keyId,
    trafficClass: metadata.trafficClass,
    accept: metadata.accept,
    model: checkedName(line.model, 'model'),
    version: line.version,
    inputs: line.inputs,
    receivedAtMs: startMs,
    budgetMs: line.timeoutMs ?? metadata.budgetMs,
    noCache: true,
    noStore: true,
    traceparent,
    tracestate: metadata.tracestate,
  };
}
