import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deleteMessage, readMessage } from '@spillway/bus/stream-messages';
import { runningJobsCodec } from '@spillway/contracts/messages';
import { JOBS_STREAM } from '@spillway/contracts/streams';
import { resultSubject, runningSubject } from '@spillway/contracts/subjects';
import { until } from '@spillway/testing/until';
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
/** What a batcher says: exactly these jobs, by their places, are at workers now. */
const running = (...seqs: number[]) =>
  under.bus.publish(runningSubject('batcher-1'), runningJobsCodec.encode({ batcher: 'batcher-1', seqs }));
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

test('a job is running while a batcher says so, and queued again when its try was lost', async () => {
  const { href, job } = await order();
  const { seq } = (await readMessage(under.bus, JOBS_STREAM, { next: 'spillway.v1.jobs.>', seq: 5 }))!;
  const stateIs = (state: string) => async () => {
    if (state === 'running') running(seq); // as batchers do: again and again
    return (await jobOf(call(href))).state === state;
  };
  await until('it is running', stateIs('running'));
  running();
  await until('it is queued', stateIs('queued'));
  const beats = setInterval(() => running(seq), 50);
  const waiting = jobOf(call(`${href}?wait=30`));
  const reader = (await call(href, { headers: { accept: 'text/event-stream' } })).body!.pipeThrough(
    new TextDecoderStream(),
  );
  let told = '';
  for await (const text of reader) {
    told += text;
    if (told.includes('"running"') && !told.includes('"succeeded"')) {
      await stored(job, { model_name: mlp.model, answer: 8 }).catch(() => undefined); // said once, told maybe twice
    }
  }
  clearInterval(beats);
  const states = [...told.matchAll(/"state":"(\w+)"/g)].map(([, state]) => state);
  assert.ok(states.includes('running'), told);
  assert.equal(states.at(-1), 'succeeded');
  assert.equal((await waiting).state, 'succeeded');
});

test('a repeated idempotency key tells what has become of the job', async () => {
  const headers = { 'idempotency-key': 'again' };
  const { href, job } = await order(headers);
  assert.equal((await order(headers)).state, 'queued');
  await stored(job, { model_name: mlp.model, answer: 9 });
  const again = await ordered(headers);
  assert.deepEqual([again.status, again.headers.get('location'), again.headers.get('retry-after')], [202, href, null]);
  const { state, result } = (await again.json()) as Job;
  assert.deepEqual([state, result], ['succeeded', undefined]);
  const waited = await ordered({ ...headers, prefer: 'respond-async, wait=5' });
  assert.deepEqual([waited.status, ((await waited.json()) as { answer: number }).answer], [200, 9]);
});

test('while the bus is away a job is not accepted', async () => {
  await under.nats.stop();
  assert.equal((await ordered()).status, 503);
  assert.equal((await call('/v1/jobs/from-event')).status, 503);
});
