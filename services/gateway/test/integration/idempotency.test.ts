import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBucket } from '@spillway/bus/kv';
import { IDEMPOTENCY, type IdempotencyRecord } from '@spillway/contracts/buckets';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { until } from '@spillway/testing/until';
import type { Gateway } from '../../src/service.ts';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayAt, startGatewayUnderTest } from './gateway-under-test.ts';
import { type Play, PlayedWorker } from './played-worker.ts';

let under: GatewayUnderTest;
let second: Gateway;
let worker: PlayedWorker;
const cleanUp = new AsyncDisposableStack();
let runs = 0;
/** Each run has an answer of its own. */
const answers: Play = () => {
  runs += 1;
  const data = Buffer.from(new Float32Array([runs]).buffer);
  return [{ name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data }];
};
let play: Play = answers;

before(async () => {
  under = cleanUp.use(await startGatewayUnderTest({ models: [mlp] }));
  second = cleanUp.use(await startGatewayAt(under.nats.url));
  worker = cleanUp.use(new PlayedWorker(under.bus, mlp, (arrived) => play(arrived)));
});
after(() => cleanUp.disposeAsync());

type Told = { status: number; code: string | null; cache: string | null; value: number | undefined };

type Asked = { gateway?: Gateway; signal?: AbortSignal; headers?: Record<string, string> };

async function ask(key: string, x = 1, of: Asked = {}): Promise<Told> {
  const { gateway = under.gateway, signal = null, headers: more = {} } = of;
  const response = await fetch(`http://127.0.0.1:${gateway.ports.http}/v2/models/mlp/infer`, {
    method: 'POST',
    headers: { 'idempotency-key': key, ...more },
    body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [x, x] }] }),
    signal,
  });
  const { outputs } = (await response.json()) as { outputs?: { data: number[] }[] };
  const { status, headers } = response;
  return {
    status,
    code: headers.get('spillway-error'),
    cache: headers.get('spillway-cache'),
    value: outputs?.[0]?.data[0],
  };
}

test('a request that is repeated under its key has the answer that it had, at every gateway, and does not run again', async () => {
  const first = await ask('once');
  assert.deepEqual([first.status, first.cache], [200, 'bypass']);
  for (const gateway of [under.gateway, second]) {
    assert.deepEqual(await ask('once', 1, { gateway }), { ...first, cache: 'hit' });
  }
  assert.notEqual((await ask('another')).value, first.value);
});

test('a key that comes with another body is a conflict, also while the first one runs', async () => {
  assert.equal((await ask('mine')).status, 200);
  assert.deepEqual(await ask('mine', 2), { status: 409, code: 'CONFLICT', cache: null, value: undefined });
  const index = worker.arrived.length;
  play = () => undefined;
  const running = ask('running');
  const arrived = await worker.request(index);
  const [here, there] = await Promise.all([ask('running', 2), ask('running', 2, { gateway: second })]);
  assert.deepEqual([here.code, there.code], ['CONFLICT', 'CONFLICT']);
  worker.reply(arrived, answers(arrived) as []);
  assert.equal((await running).status, 200);
  play = answers;
});

test('who comes while it runs joins it: one run, one answer, at both gateways', async () => {
  const index = worker.arrived.length;
  play = () => undefined;
  const first = ask('joined');
  const arrived = await worker.request(index);
  const others = [ask('joined'), ask('joined', 1, { gateway: second })];
  const record = openBucket<IdempotencyRecord>(under.bus, IDEMPOTENCY);
  assert.ok((await record.page('anonymous.*', 0, 100)).some(({ value }) => value.answer === undefined));
  worker.reply(arrived, answers(arrived) as []);
  play = answers;
  const { value } = await first;
  const told = await Promise.all(others);
  assert.deepEqual(
    told.map((one) => one.value),
    [value, value],
  );
  assert.equal(worker.arrived.length, index + 1);
});

test('a caller that leaves finds the answer when it comes again', async () => {
  const index = worker.arrived.length;
  play = () => undefined;
  const leaving = new AbortController();
  const first = ask('left', 1, { signal: leaving.signal });
  const arrived = await worker.request(index);
  leaving.abort();
  await assert.rejects(first);
  worker.reply(arrived, answers(arrived) as []);
  play = answers;
  const again = await ask('left');
  assert.equal(again.status, 200);
  assert.equal(worker.arrived.length, index + 1);
});

test('a failure is not kept: the next try runs', async () => {
  play = () => ({ errorCode: 'BACKEND_FAILED', errorMessage: 'no' });
  assert.equal((await ask('failing')).code, 'BACKEND_FAILED');
  play = answers;
  assert.equal((await ask('failing')).status, 200);
});

test('what a gateway ran that has died is run again once its time is over', async () => {
  await ask('orphan');
  const records = openBucket<IdempotencyRecord>(under.bus, IDEMPOTENCY);
  const [last] = (await records.page('anonymous.*', 0, 100)).slice(-1);
  const { key, value } = last as { key: string; value: IdempotencyRecord };
  await records.put(key, { digest: value.digest, budgetMs: -1_900 }); // its gateway died in the middle of the run
  const before = runs;
  await until('it has run', async () => (await ask('orphan')).status === 200);
  assert.equal(runs, before + 1);
});

test('a request under the key of a job is that job to who takes tickets, a conflict to others', async () => {
  const url = `http://127.0.0.1:${under.gateway.ports.http}/v2/models/mlp/infer`;
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 1] }] });
  const post = (headers: Record<string, string>) =>
    fetch(url, { method: 'POST', headers: { 'idempotency-key': 'a-job', ...headers }, body });
  const job = await post({ prefer: 'respond-async' });
  const again = await post({ 'spillway-accept': 'wait, ticket' });
  assert.deepEqual([again.status, again.headers.get('location')], [202, job.headers.get('location')]);
  assert.equal((await post({})).status, 409);
});

test('what was answered under a key becomes no job: the answer is given, and another body is a conflict', async () => {
  const first = await ask('answered');
  const async = { prefer: 'respond-async' };
  assert.deepEqual(await ask('answered', 1, { headers: async }), { ...first, cache: 'hit' });
  assert.equal((await ask('answered', 2, { headers: async, gateway: second })).code, 'CONFLICT');
  assert.equal((await ask('never-asked', 1, { headers: async })).status, 202);
});

test('a job that is ordered under the key of a request that runs is its answer', async () => {
  const index = worker.arrived.length;
  play = () => undefined;
  const running = ask('overtaken');
  const arrived = await worker.request(index);
  const ordered = ask('overtaken', 1, { headers: { prefer: 'respond-async' }, gateway: second });
  worker.reply(arrived, answers(arrived) as []);
  play = answers;
  const [{ value }, told] = await Promise.all([running, ordered]);
  assert.deepEqual([told.status, told.value], [200, value]);
  assert.equal(worker.arrived.length, index + 1);
});

test('a key that cannot be one is refused with its name', async () => {
  const told = await ask('x'.repeat(256));
  assert.deepEqual([told.status, told.code], [400, 'INVALID_REQUEST']);
});
