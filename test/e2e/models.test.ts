import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Mesh } from '@spillway/testing/mesh';
import { casesOf, differenceOf, MODELS_WITH_CASES, oipRequest } from '../support/cases.ts';
import { call, headerOf, infer } from '../support/infer.ts';
import { ALL_ADMITTED, startSeededMesh } from '../support/mesh-fixture.ts';
import { patient, repositoryOf } from '../support/model-repository.ts';

let mesh: Mesh;
let repository: Awaited<ReturnType<typeof repositoryOf>>;
before(async () => {
  repository = await repositoryOf(MODELS_WITH_CASES, patient);
  mesh = await startSeededMesh({
    serves: MODELS_WITH_CASES,
    models: repository.dir,
    tenants: [{ tenant: 'admin', class: 'standard', scopes: ['admin'] }],
    serviceEnv: { gateway: ALL_ADMITTED, 'gpu-worker': { GPU_WORKER_MODEL_CONTROL_MODE: 'explicit' } },
  });
});
after(async () => {
  await mesh?.[Symbol.asyncDispose]();
  await repository?.[Symbol.asyncDispose]();
});

const address = (): string => mesh.url.slice('http://'.length);

for (const model of MODELS_WITH_CASES) {
  test(`${model} answers through the whole chain as plain ONNX Runtime does`, async () => {
    for (const wanted of casesOf(model)) {
      const reply = await infer({ address: address(), model, body: oipRequest(wanted) });
      assert.equal(reply.status, 200, reply.text);
      assert.equal(differenceOf(wanted, reply.outputs), undefined);
    }
  });
}

test('requests that arrive together run together, and each gets its own row', async () => {
  const cases = casesOf('mlp');
  const calls = Array.from({ length: 128 }, (_, n) => cases[n % cases.length]!);
  let sizes: number[] = [];
  // A crowded machine may let them come one by one.
  for (let tries = 0; tries < 20 && !sizes.some((size) => size > 1); tries += 1) {
    const replies = await Promise.all(
      calls.map((wanted) => infer({ address: address(), model: 'mlp', body: oipRequest(wanted) })),
    );
    for (const [n, reply] of replies.entries()) assert.equal(differenceOf(calls[n]!, reply.outputs), undefined);
    sizes = replies.map((reply) => Number(headerOf(reply, 'spillway-batch-size')));
  }
  assert.ok(Math.max(...sizes) > 1, `batch sizes ${[...new Set(sizes)]}`);
  assert.ok(Math.max(...sizes) <= 64, 'no batch is larger than the model allows');
});

test('a request of several rows comes back with as many', async () => {
  const cases = casesOf('mlp').slice(0, 5);
  const data = cases.flatMap(({ inputs }) => inputs['x']!.data);
  const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [5, 64], data }] };
  const { outputs } = await infer({ address: address(), model: 'mlp', body });
  const wanted = cases.flatMap(({ outputs: o }) => o['y']!.data);
  const y = { datatype: 'FP32', shape: [5, 1], data: wanted };
  assert.equal(differenceOf({ inputs: {}, outputs: { y } }, outputs), undefined);
});

test('the second of two equal credit-risk requests is answered from the cache, with the same numbers', async () => {
  const wanted = casesOf('credit-risk')[0]!;
  const ask = () => infer({ address: address(), model: 'credit-risk', body: oipRequest(wanted) });
  const endMs = performance.now() + 60_000;
  let again = await ask();
  while (headerOf(again, 'spillway-cache') !== 'hit' && performance.now() < endMs) again = await ask(); // nobody waits for the store
  assert.equal(headerOf(again, 'spillway-cache'), 'hit');
  assert.equal(differenceOf(wanted, again.outputs), undefined);
  const other = await infer({
    address: address(),
    model: 'credit-risk',
    body: oipRequest(wanted),
    headers: { authorization: `Bearer ${mesh.keys.standard}` },
  });
  assert.notEqual(headerOf(other, 'spillway-cache'), 'hit', 'another tenant does not see it');
});

test('an answer with default features says so and is not kept', async () => {
  const unknown = { name: 'client_id', datatype: 'BYTES', shape: [1, 1], data: ['nobody'] };
  for (let n = 0; n < 3; n += 1) {
    const reply = await infer({ address: address(), model: 'credit-risk', body: { inputs: [unknown] } });
    assert.equal(reply.status, 200);
    assert.equal(headerOf(reply, 'spillway-degraded'), 'features');
    assert.notEqual(headerOf(reply, 'spillway-cache'), 'hit');
  }
});

test('mlp, whose cache is off, runs each time', async () => {
  const body = oipRequest(casesOf('mlp')[0]!);
  await infer({ address: address(), model: 'mlp', body });
  const again = await infer({ address: address(), model: 'mlp', body });
  assert.notEqual(headerOf(again, 'spillway-cache'), 'hit');
});

/**
 * Keeps a few requests of a model under way. `more`: until some that have begun since have been answered; `stop`: the replies, once
 * all have come.
 */
function keepAsking(model: string) {
  const body = oipRequest(casesOf(model)[0]!);
  const replies: Awaited<ReturnType<typeof infer>>[] = [];
  let running = true;
  const ask = async () => {
    while (running) replies.push(await infer({ address: address(), model, body }));
  };
  const asking = Promise.all(Array.from({ length: ASKERS }, ask));
  return {
    more: async () => {
      const enough = replies.length + 2 * ASKERS; // whoever is the first to be answered twice has begun since
      while (replies.length < enough) await delay(5);
    },
    stop: async () => {
      running = false;
      await asking;
      return replies;
    },
  };
}
const ASKERS = 8;

async function control(action: 'load' | 'unload', model: string, key = mesh.keys['admin']) {
  const path = `/v2/repository/models/${model}/${action}`;
  const reply = await call({
    ...{ address: address(), path, timeoutMs: 120_000 },
    headers: { authorization: `Bearer ${key}` },
  });
  return { status: reply.status, text: reply.text };
}

test('a new version is loaded while requests run, and none is lost; then the model is unloaded and loaded again', async () => {
  const [wanted] = casesOf('mlp');
  const ask = () => infer({ address: address(), model: 'mlp', body: oipRequest(wanted!) });
  const versionOf = ({ text }: { text: string }) => (JSON.parse(text) as { model_version: string }).model_version;
  const index = async () => (await call({ address: address(), path: '/v2/repository/index' })).text;
  assert.equal((await control('load', 'mlp', mesh.keys.vip)).status, 403);
  await cp(join(repository.dir, 'mlp', '1'), join(repository.dir, 'mlp', '2'), { recursive: true });

  const asking = keepAsking('mlp');
  await asking.more();
  assert.deepEqual(await control('load', 'mlp'), { status: 200, text: '' });
  assert.equal(versionOf(await ask()), '2');
  await asking.more();
  const replies = await asking.stop();
  assert.deepEqual(
    replies.filter(({ status }) => status !== 200).map(({ status, text }) => `${status} ${text}`),
    [],
  );
  assert.deepEqual([...new Set(replies.map(versionOf))], ['1', '2']);
  for (const reply of replies) assert.equal(differenceOf(wanted!, reply.outputs), undefined);

  const askingAgain = keepAsking('mlp');
  await askingAgain.more();
  assert.deepEqual(await control('unload', 'mlp'), { status: 200, text: '' });
  const ends = new Set((await askingAgain.stop()).map(({ status }) => status));
  assert.ok(
    [...ends].every((status) => status === 200 || status === 404),
    `statuses ${[...ends]}`,
  );
  assert.equal((await ask()).status, 404);
  assert.match(await index(), /{"name":"mlp","version":"2","state":"UNAVAILABLE","reason":"unloaded"}/);
  assert.equal((await control('load', 'nothing')).status, 404);
  assert.deepEqual(await control('load', 'mlp'), { status: 200, text: '' });
  assert.equal(differenceOf(wanted!, (await ask()).outputs), undefined);
});
