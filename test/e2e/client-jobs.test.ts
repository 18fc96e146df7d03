import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Job, type JobStatus, SpillwayClient } from '@spillway/client';
import type { Mesh } from '@spillway/testing/mesh';
import { startSeededMesh } from '../support/mesh-fixture.ts';

let mesh: Mesh;
let client: SpillwayClient;
before(async () => {
  mesh = await startSeededMesh({ serves: ['simple', 'simulated'], tenants: [{ tenant: 'other', class: 'standard' }] });
  client = new SpillwayClient({ url: mesh.url, key: mesh.keys.standard, timeoutMs: 60_000 });
});
after(async () => {
  await client?.close();
  await mesh?.[Symbol.asyncDispose]();
});

const ONES = Array<number>(16).fill(1);
type Simple = { OUTPUT0: Int32Array; OUTPUT1: Int32Array };
const submit = (options?: Parameters<SpillwayClient['submit']>[2]) =>
  client.submit<Simple>('simple', { INPUT0: [ONES], INPUT1: [ONES] }, options);

test('a job that is submitted has a result, and says so when it is looked at', async () => {
  const job = await submit();
  assert.match(job.id, /^[A-Za-z0-9_-]{1,64}$/);
  const { outputs, version } = await job.result({ timeoutMs: 60_000 });
  assert.deepEqual(outputs.OUTPUT0, { datatype: 'INT32', shape: [1, 16], data: new Int32Array(16).fill(2) });
  assert.equal(version, '1');
  const status = await job.status();
  assert.deepEqual([status.id, status.state, status.model], [job.id, 'succeeded', 'simple']);
  assert.ok(status.createdAt instanceof Date && status.createdAt.getTime() > 0);
  assert.deepEqual(status.result?.outputs, outputs);
});

test('events end with the final state', async () => {
  const job = await submit();
  const seen: JobStatus[] = await Array.fromAsync(job.events());
  assert.equal(seen.at(-1)?.state, 'succeeded');
  assert.equal(seen.at(-1)?.id, job.id);
});

test('a job is found again by its id, by its own tenant only', async () => {
  const { id } = await submit();
  const found = await client.jobs.get<Simple>(id);
  assert.equal((await found.result({ timeoutMs: 60_000 })).outputs.OUTPUT1.data[0], 0);
  await using stranger = new SpillwayClient({ url: mesh.url, key: mesh.keys['other']! });
  await assert.rejects(stranger.jobs.get(id), { code: 'NOT_FOUND' });
  await assert.rejects(client.jobs.get('nobody-has-this'), { code: 'NOT_FOUND' });
});

test('one idempotency key is one job; with another body it is a conflict', async () => {
  const first = await submit({ idempotencyKey: 'order 18' });
  const again = await submit({ idempotencyKey: 'order 18' });
  assert.equal(again.id, first.id);
  const other = client.submit('simple', { INPUT0: [ONES], INPUT1: ONES.map(() => 2) }, { idempotencyKey: 'order 18' });
  await assert.rejects(other, { code: 'CONFLICT' });
});

test('what was answered under a key is no job: submit has the answer at once', async () => {
  const key = { idempotencyKey: 'order 19' };
  const { outputs } = await client.infer<Simple>('simple', { INPUT0: [ONES], INPUT1: [ONES] }, key);
  const job = await submit(key);
  assert.deepEqual([job.id, (await job.status()).state], ['', 'succeeded']);
  assert.deepEqual((await job.result()).outputs, outputs);
});

test('jobs are listed, in pages and all', async () => {
  const ids = await Promise.all([0, 1, 2].map(async () => (await submit()).id));
  const page = await client.jobs.list({ limit: 2 });
  assert.ok(page.jobs.length <= 2);
  assert.ok(page.next !== undefined);
  const all = await Array.fromAsync(client.jobs.all());
  for (const id of ids) assert.ok(all.some((job) => job.id === id));
});

test('what fails is not a job: it is told at once', async () => {
  await assert.rejects(client.submit('nothing', { x: { data: new Float32Array(1), shape: [1] } }), {
    code: 'MODEL_NOT_FOUND',
  });
});

test('over gRPC jobs need the HTTP door, which can be named beside it', async () => {
  await using alone = new SpillwayClient({ url: `grpc://${mesh.grpc}` });
  await assert.rejects(alone.jobs.list(), { code: 'UNSUPPORTED', message: /http/ });
  await using both = new SpillwayClient({ url: `grpc://${mesh.grpc}`, http: mesh.url, key: mesh.keys.standard });
  assert.ok((await both.jobs.list()).jobs.length > 0);
});

test('a request that could not be answered in time becomes a job, if tickets are accepted', async () => {
  const rows = { x: Array<number>(32).fill(1) }; // 104 ms of work
  const ask = () => client.infer('simulated', rows, { timeoutMs: 95, accept: ['ticket'] }).catch(() => undefined);
  const endMs = performance.now() + 60_000;
  let answer = await ask();
  while (answer === undefined && performance.now() < endMs) answer = await ask(); // on a crowded machine it may be late
  assert.ok(answer instanceof Job);
  const { outputs } = await answer.result({ timeoutMs: 60_000 });
  assert.equal(outputs['y']?.data.length, 32);
});

test('a job that is cancelled before it ran is not run, and one that has ended stays as it is', async () => {
  const ended = await submit();
  await ended.result({ timeoutMs: 60_000 });
  await ended.cancel();
  assert.equal((await ended.status()).state, 'succeeded');
  for (const worker of mesh.of('gpu-worker')) await worker.stop(3_000);
  const waiting = await submit();
  assert.equal((await waiting.status()).state, 'queued');
  await assert.rejects(waiting.result({ timeoutMs: 300 }), { code: 'DEADLINE_EXCEEDED', reason: 'client_deadline' });
  await waiting.cancel();
  await assert.rejects(waiting.result({ timeoutMs: 60_000 }), { code: 'CANCELLED' });
  assert.deepEqual(
    (await Array.fromAsync(waiting.events())).map(({ state }) => state),
    ['cancelled'],
  );
});
