import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Mesh } from '@spillway/testing/mesh';
import { casesOf, differenceOf, MODELS_WITH_CASES, oipRequest } from '../support/cases.ts';
import { headerOf, infer } from '../support/infer.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: MODELS_WITH_CASES });
});
after(() => mesh?.[Symbol.asyncDispose]());

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
  const replies = await Promise.all(
    calls.map((wanted) => infer({ address: address(), model: 'mlp', body: oipRequest(wanted) })),
  );
  for (const [n, reply] of replies.entries()) assert.equal(differenceOf(calls[n]!, reply.outputs), undefined);
  const sizes = replies.map((reply) => Number(headerOf(reply, 'spillway-batch-size')));
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
  let again = await ask();
  for (let tries = 0; tries < 50 && headerOf(again, 'spillway-cache') !== 'hit'; tries += 1) again = await ask(); // nobody waits for the store
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
