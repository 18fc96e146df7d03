import { HEADERS } from '@spillway/contracts/headers';
import { isName, type Name } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { JobAddress } from '../core/event-envelope.ts';
import { isOpen, type JobView, writeJob } from '../core/job-view.ts';
import { readPrefer, readWaitMs } from '../core/prefer.ts';
import type { DoorContext } from './door-context.ts';
import { identifyCaller } from './http-identify.ts';

type JobParams = { Params: { job: string }; Querystring: { wait?: string } };
type ListQuery = { Querystring: { limit?: string; after?: string; state?: string } };

const MOST_LISTED = 100;
/** A proxy between here and the caller must see something now and then. */
const KEEP_ALIVE_MS = 15_000;

const unknown = (): SpillwayError => new SpillwayError('NOT_FOUND', 'job: this tenant has none with that id');

/** `/v1/jobs`: what became of jobs, for the tenant whose they are; another's job is not found. */
export function serveJobs(app: FastifyInstance, context: DoorContext): void {
  const { jobs } = context;

  const tenantOf = (request: FastifyRequest, reply: FastifyReply): Name =>
    identifyCaller(context, request, reply, 'jobs').tenant as Name;
  const addressOf = (request: FastifyRequest<JobParams>, reply: FastifyReply): JobAddress => {
    const tenant = tenantOf(request, reply);
    const { job } = request.params;
    if (!isName(job)) throw unknown();
    return { tenant, job };
  };

  app.get<JobParams>('/v1/jobs/:job', async (request, reply) => {
    const address = addressOf(request, reply);
    if (request.headers.accept?.includes('text/event-stream')) return sendEvents(context, address, request, reply);
    const { wait } = request.query;
    const waitMs =
      wait === undefined
        ? readPrefer(request.headers['prefer'] as string | undefined).waitMs
        : readWaitMs(wait, 'wait');
    const view = waitMs > 0 ? await jobs.ended(address, waitMs, leftBy(reply)) : await jobs.view(address);
    return answer(reply, view);
  });

  app.delete<JobParams>('/v1/jobs/:job', async (request, reply) =>
    answer(reply, await jobs.cancel(addressOf(request, reply), request.id)),
  );

  app.get<ListQuery>('/v1/jobs', async (request, reply) => {
    const tenant = tenantOf(request, reply);
    const { limit = String(MOST_LISTED), after = '0', state } = request.query;
    const page = await jobs.list(
      tenant,
      wholeNumber(after, 'after', 0),
      Math.min(MOST_LISTED, wholeNumber(limit, 'limit', 1)),
    );
    const shown = page.jobs.filter((view) => state === undefined || view.state === state).map(writeJob);
    const next = page.next === undefined ? '' : `,"next":"${page.next}"`;
    return reply.type('application/json').send(`{"jobs":[${shown.join(',')}]${next}}`);
  });
}

function answer(reply: FastifyReply, view: JobView | undefined): FastifyReply {
  if (view === undefined) throw unknown();
  if (isOpen(view)) reply.header('retry-after', '1');
  return reply.type('application/json').send(writeJob(view));
}

/** Server-sent events: the job as it is, and again at each change of its state; the body ends when the job has. */
async function sendEvents(
  { jobs }: DoorContext,
  address: JobAddress,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const first = await jobs.view(address);
  if (first === undefined) throw unknown();
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    [HEADERS.requestId]: request.id,
  });
  const tell = (view: JobView) => raw.write(`data: ${writeJob(view)}\n\n`);
  tell(first);
  const left = leftBy(reply);
  let last = first;
  while (isOpen(last) && !left.aborted) {
    const now = await jobs.changed(address, last.state, KEEP_ALIVE_MS, left).catch(() => undefined);
    if (now === undefined || now.state === last.state) raw.write(`: still ${last.state}\n\n`);
    else {
      last = now;
      tell(last);
    }
  }
  raw.end();
  return reply;
}

/** Aborted when the caller leaves. */
function leftBy(reply: FastifyReply): AbortSignal {
  const left = new AbortController();
  reply.raw.once('close', () => left.abort());
  return left.signal;
}

function wholeNumber(text: string, what: string, least: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least) return value;
  throw new SpillwayError('INVALID_REQUEST', `${what}: expected an integer ≥ ${least}, got "${text.slice(0, 32)}"`);
}
