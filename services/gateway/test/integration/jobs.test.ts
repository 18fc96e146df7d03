import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deleteMessage, readMessage } from '@spillway/bus/stream-messages';
import { JOBS_STREAM } from '@spillway/contracts/streams';
import { resultSubject } from '@spillway/contracts/subjects';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayUnderTest } from './gateway-under-test.ts';

/** A gateway without batcher and worker: what it accepts waits for ever. */
let under: GatewayUnderTest;
before(async () => {
  under = await startGatewayUnderTest({ models: [mlp] });
});
after(() => under?.[Symbol.asyncDispose]());

type Job = { job: string; state: string; href: string; error?: { code: string }; result?: { answer: number } };

const call = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`http://127.0.0.1:${under.gateway.ports.http}${path}`, init);
const jobOf = async (response: Promise<Response>): Promise<Job> => (await (await response).json()) as Job;
const ordered = (headers: Record<string, string> = {}): Promise<Response> => {
  const inputs = mlp.inputs.map(({ name, datatype, dims }) => ({
    name,
    datatype,
    shape: [1, ...dims],
    data: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 0.5),
  }));
  const body = JSON.stringify({ inputs });
  return call(`/v2/models/${mlp.model}/infer`, {
    method: 'POST',
    body,
    headers: { prefer: 'respond-async', ...headers },
  });
};
const order = (headers?: Record<string, string>): Promise<Job> => jobOf(ordered(headers));
const stored = (job: string, payload: unknown) =>
  under.bus.publishToStream(resultSubject('anonymous', job), Buffer.from(JSON.stringify(payload)));

test('a job waits in its stream and is queued, however long somebody waits for it', async () => {
  const { href, job } = await order();
  const waited = await jobOf(call(`${href}?wait=0.05`));
  assert.deepEqual([waited.state, waited.job], ['queued', job]);
});

test('a waiting caller is told as soon as the result is stored', async () => {
  const { href, job } = await order();
  const waiting = jobOf(call(`${href}?wait=30`));
  await stored(job, { model_name: mlp.model, answer: 7 });
  const ended = await waiting;
  assert.deepEqual([ended.state, ended.result?.answer], ['succeeded', 7]);
});

test('who follows a job as events is told the id of that request: its own, or one that the mesh made', async () => {
  await stored('followed', { answer: 1 });
  const idOf = async (headers: Record<string, string>): Promise<string | null> => {
    const response = await call('/v1/jobs/followed', { headers: { accept: 'text/event-stream', ...headers } });
    assert.match(await response.text(), /"state":"succeeded"/);
    return response.headers.get('x-request-id');
  };
  assert.equal(await idOf({ 'x-request-id': 'mine' }), 'mine');
  const made = [await idOf({}), await idOf({ 'x-request-id': 'not a name' })];
  for (const id of made) assert.match(id ?? '', /^[a-z0-9]{10}-[a-z0-9]+$/);
  assert.notEqual(made[0], made[1]);
});

test('a job that is cancelled leaves its stream, stays cancelled, and a result that comes late is refused', async () => {
  const { href, job } = await order({ 'idempotency-key': 'to-cancel' });
  const cancelled = await jobOf(call(href, { method: 'DELETE' }));
  assert.deepEqual([cancelled.state, cancelled.error?.code], ['cancelled', 'CANCELLED']);
  await assert.rejects(stored(job, { answer: 1 }), { code: 'CONFLICT' });
  assert.equal((await jobOf(call(href))).state, 'cancelled');
  assert.equal((await order({ 'idempotency-key': 'to-cancel' })).job, job);
  const seqs = await Promise.all([1, 2, 3].map((seq) => readMessage(under.bus, JOBS_STREAM, { seq })));
  assert.equal(seqs.filter((message) => message !== undefined).length, 2, 'of three jobs one was taken out');
});

test('a job whose result is gone is expired', async () => {
  const { href, job } = await order();
  const { seq } = await stored(job, { answer: 1 });
  await deleteMessage(under.bus, JOBS_STREAM, 4);
  await deleteMessage(under.bus, 'SPILLWAY_RESULTS', seq);
  assert.equal((await jobOf(call(href))).state, 'expired');
});

test('the result of an event is found as a job, though no door has a record of it', async () => {
  await stored('from-event', { error: { code: 'BACKEND_FAILED', message: 'no', reason: '' } });
  const found = await jobOf(call('/v1/jobs/from-event'));
  assert.deepEqual([found.state, found.error?.code], ['failed', 'BACKEND_FAILED']);
});

test('while the bus is away a job is not accepted', async () => {
  await under.nats.stop();
  assert.equal((await ordered()).status, 503);
  assert.equal((await call('/v1/jobs/from-event')).status, 503);
});
