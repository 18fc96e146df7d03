import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Mesh } from '@spillway/testing/mesh';
import { casesOf, differenceOf, type OipTensor, oipRequest } from '../support/cases.ts';
import { connectPublisher } from '../support/events.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'] });
});
after(() => mesh?.[Symbol.asyncDispose]());

const body = (model: string, n = 0): string => JSON.stringify(oipRequest(casesOf(model)[n]!));

for (const model of ['mlp', 'credit-risk']) {
  test(`an event for ${model} becomes a job whose result is stored, as plain ONNX Runtime answers`, async () => {
    await using publisher = await connectPublisher(mesh.nats.url, 'acme');
    const wanted = casesOf(model)[0]!;
    await publisher.publish(model, body(model), { 'spillway-job': `one-${model}` });
    await publisher.until(() => publisher.results.length === 1);
    const [result] = publisher.results;
    assert.equal(publisher.jobOf(result!), `one-${model}`);
    assert.equal(differenceOf(wanted, result?.body['outputs'] as OipTensor[]), undefined);
    assert.equal(publisher.dead.length, 0);
  });
}

test('an event published twice under one message id gives one result', async () => {
  await using publisher = await connectPublisher(mesh.nats.url, 'twice');
  const first = await publisher.publish('mlp', body('mlp'), { 'Nats-Msg-Id': 'a-1' });
  const second = await publisher.publish('mlp', body('mlp'), { 'Nats-Msg-Id': 'a-1' });
  assert.equal(first.duplicate, false);
  assert.equal(second.duplicate, true);
  await publisher.publish('mlp', body('mlp', 1), { 'Nats-Msg-Id': 'a-2' });
  await publisher.until(() => publisher.results.length >= 2);
  await delay(300);
  assert.equal(publisher.results.length, 2);
});

const malformed: {
  what: string;
  model: string;
  payload: string;
  headers?: Record<string, string>;
  code: string;
  names: RegExp;
}[] = [
  { what: 'bad JSON', model: 'mlp', payload: '{', code: 'INVALID_REQUEST', names: /JSON/ },
  {
    what: 'a wrong datatype',
    model: 'mlp',
    payload: JSON.stringify({ inputs: [{ name: 'x', datatype: 'INT32', shape: [1, 64], data: Array(64).fill(1) }] }),
    code: 'INVALID_REQUEST',
    names: /"x".*FP32/,
  },
  {
    what: 'a wrong shape',
    model: 'mlp',
    payload: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] }),
    code: 'INVALID_REQUEST',
    names: /"x".*shape/,
  },
  { what: 'an unknown model', model: 'nothing', payload: body('mlp'), code: 'MODEL_NOT_FOUND', names: /model/ },
  {
    what: 'a deadline that has passed',
    model: 'mlp',
    payload: body('mlp'),
    headers: { 'spillway-timeout-ms': '0' },
    code: 'DEADLINE_EXCEEDED',
    names: /deadline/,
  },
  {
    what: 'a body above the limit',
    model: 'mlp',
    payload: ' '.repeat(5 * 1024 * 1024),
    code: 'PAYLOAD_TOO_LARGE',
    names: /4194304/,
  },
];

for (const { what, model, payload, headers, code, names } of malformed) {
  test(`an event with ${what} is stored as an error result and as a dead letter, and disturbs no other`, async () => {
    const tenant = `bad-${code.toLowerCase()}-${malformed.findIndex((m) => m.what === what)}`;
    await using publisher = await connectPublisher(mesh.nats.url, tenant);
    await publisher.publish(model, payload, { 'spillway-job': 'bad', ...headers });
    await publisher.publish('mlp', body('mlp'), { 'spillway-job': 'good' });
    await publisher.until(() => publisher.results.length === 2 && publisher.dead.length === 1);
    const bad = publisher.results.find((result) => publisher.jobOf(result) === 'bad');
    const error = bad?.body['error'] as { code: string; message: string };
    assert.equal(error.code, code);
    assert.match(error.message, names);
    assert.equal(bad?.header('spillway-error'), code);
    const good = publisher.results.find((result) => publisher.jobOf(result) === 'good');
    assert.equal(differenceOf(casesOf('mlp')[0]!, good?.body['outputs'] as OipTensor[]), undefined);
    assert.equal(publisher.dead[0]?.header('spillway-error'), code);
    assert.equal(publisher.dead[0]?.header('spillway-origin-subject'), `spillway.v1.events.${tenant}.infer.${model}`);
  });
}

test('accepted events survive kill -9 of each service on their path: every one has exactly one right result', async () => {
  const EVENTS = 120;
  await using publisher = await connectPublisher(mesh.nats.url, 'durable');
  const cases = casesOf('mlp');
  const victims = [...mesh.of('gateway'), ...mesh.of('batcher'), ...mesh.of('gpu-worker')];
  for (let n = 0; n < EVENTS; n += 1) {
    await publisher.publish('mlp', body('mlp', n % cases.length), { 'spillway-job': `job-${n}` });
    if (n % 40 === 20) {
      const victim = victims[Math.floor(n / 40)]!;
      await victim.kill('SIGKILL');
      await victim.restart();
    }
  }
  await publisher.until(() => publisher.results.length >= EVENTS, 180_000);
  await delay(500);
  assert.equal(publisher.results.length, EVENTS, 'no second result');
  const jobs = new Set(publisher.results.map(publisher.jobOf));
  assert.equal(jobs.size, EVENTS);
  for (const result of publisher.results) {
    const n = Number(publisher.jobOf(result).slice('job-'.length));
    assert.equal(differenceOf(cases[n % cases.length]!, result.body['outputs'] as OipTensor[]), undefined);
  }
  assert.equal(publisher.dead.length, 0);
});
