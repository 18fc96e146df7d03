import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBucket } from '@spillway/bus/kv';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { workFrameCodec } from '@spillway/contracts/messages';
import { DLQ_STREAM, EVENTS_STREAM, JOBS_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { dlqSubject, eventsSubject, jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { until } from '@spillway/testing/until';
import { decodeTensors } from '../../src/core/tensor-codec.ts';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayAt, startGatewayUnderTest } from './gateway-under-test.ts';
import { lastOf, messagesIn, type Stored } from './jetstream-peek.ts';

let mesh: GatewayUnderTest;
before(async () => {
  mesh = await startGatewayUnderTest({ models: [mlp] });
});
after(() => mesh[Symbol.asyncDispose]());

const body = (x: number[] = [1, 2]) => ({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: x }] });
const send = (tenant: string, model: string, payload: unknown, headers: Record<string, string> = {}) => {
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return mesh.bus.publishToStream(eventsSubject(tenant, model), bytes, { headers });
};
const eventsAreDone = () =>
  until('every event is settled', async () => (await messagesIn(mesh.bus, EVENTS_STREAM)) === 0);
const jobIn = async (trafficClass: 'vip' | 'standard' | 'bulk', model: string) => {
  const stored = (await lastOf(mesh.bus, JOBS_STREAM, jobsSubject(trafficClass, model))) as Stored;
  return { stored, frame: workFrameCodec.decode(stored.payload) };
};
const jobs = () => messagesIn(mesh.bus, JOBS_STREAM);
const refusal = async (tenant: string, job: string) => {
  const stored = (await lastOf(mesh.bus, RESULTS_STREAM, resultSubject(tenant, job))) as Stored;
  return { headers: stored.headers, error: JSON.parse(String(stored.payload)).error };
};

test('an event becomes one job in a frame of its own, and is then acknowledged', async () => {
  const before = await jobs();
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  const { seq } = await send('acme', 'mlp', body([3, 4]), { traceparent, 'x-request-id': 'order-9' });
  await eventsAreDone();
  assert.equal(await jobs(), before + 1);
  const { stored, frame } = await jobIn('standard', 'mlp');
  assert.equal(stored.headers['Nats-Msg-Id'], `acme.e-${seq}`);
  assert.deepEqual([frame.model, frame.trafficClass, frame.replyTo, frame.items.length], ['mlp', 'standard', '', 1]);
  assert.deepEqual([frame.routes[0]?.version, frame.routes.length], ['2', 1]);
  const item = frame.items[0];
  assert.deepEqual([item?.requestId, item?.tenant, item?.rows, item?.cost], ['order-9', 'acme', 1, 1]);
  assert.equal(item?.budgetMs, 86_400_000, 'a deadline that never comes');
  assert.deepEqual(
    [item?.job?.tenant, item?.job?.job, item?.job?.originSubject, item?.job?.ackSubject],
    ['acme', `e-${seq}`, 'spillway.v1.events.acme.infer.mlp', ''],
  );
  assert.equal(item?.job?.traceparent.slice(3, 35), 'a'.repeat(32), "the trace is the publisher's");
  const [x] = decodeTensors(item?.tensors as Uint8Array);
  assert.deepEqual([...new Float32Array(Uint8Array.from(x?.data as Uint8Array).buffer)], [3, 4]);
});

test('headers name the job, lower its class and set its deadline, whatever their case', async () => {
  const headers = { 'Spillway-Job': 'mine', 'SPILLWAY-CLASS': 'bulk', 'spillway-timeout-ms': '60000' };
  await send('acme', 'mlp', body(), headers);
  await eventsAreDone();
  const { frame } = await jobIn('bulk', 'mlp');
  assert.deepEqual([frame.trafficClass, frame.items[0]?.job?.job], ['bulk', 'mine']);
  const budgetMs = frame.items[0]?.budgetMs as number;
  assert.ok(budgetMs > 50_000 && budgetMs < 60_000, `${budgetMs}`);
});

test('an event that is published twice becomes one job', async () => {
  const before = await jobs();
  await send('acme', 'mlp', body(), { 'spillway-job': 'once' });
  await send('acme', 'mlp', body(), { 'spillway-job': 'once' });
  await eventsAreDone();
  assert.equal(await jobs(), before + 1);
});

test('an event that names the job of another request is a dead letter, and its publisher is told; the job stays as it is', async () => {
  const inbox = '_INBOX.publisher.1';
  const told: string[] = [];
  const listening = mesh.bus.subscribe(inbox, ({ header }) => void told.push(header('spillway-error') ?? 'answer'));
  const headers = { 'spillway-job': 'named', 'spillway-reply-to': inbox };
  await send('acme', 'mlp', body([1, 1]), headers);
  await eventsAreDone();
  const before = await jobs();
  for (const other of [body([2, 2]), '{"no":"request"}']) {
    await send('acme', 'mlp', other, headers);
    await eventsAreDone();
    const dead = (await lastOf(mesh.bus, DLQ_STREAM, dlqSubject('CONFLICT'))) as Stored;
    assert.equal(String(dead.payload), typeof other === 'string' ? other : JSON.stringify(other));
  }
  await until('both were told', () => told.length === 2);
  assert.deepEqual(told, ['CONFLICT', 'CONFLICT']);
  assert.equal(await jobs(), before);
  assert.equal(
    await lastOf(mesh.bus, RESULTS_STREAM, resultSubject('acme', 'named')),
    undefined,
    'no result was stored',
  );
  const answer = Buffer.from('{"model_name":"mlp"}');
  await mesh.bus.publishToStream(resultSubject('acme', 'named'), answer);
  await send('acme', 'mlp', body([1, 1]), headers);
  await until('who asks again is told what is stored', () => told.length === 3);
  assert.equal(told[2], 'answer');
  listening.stop();
});

test('a named event is a job that its tenant can look at while it waits', async () => {
  await send('anonymous', 'mlp', body(), { 'spillway-job': 'looked-at' });
  await eventsAreDone();
  const found = await fetch(`http://127.0.0.1:${mesh.gateway.ports.http}/v1/jobs/looked-at`);
  assert.equal(((await found.json()) as { state: string }).state, 'queued');
});

const INVALID: [name: string, model: string, payload: unknown, code: string, message: RegExp][] = [
  ['bad JSON', 'mlp', '{"inputs":', 'INVALID_REQUEST', /body: expected JSON/],
  ['an unknown model', 'nope', body(), 'MODEL_NOT_FOUND', /no such model/],
  ['a wrong shape', 'mlp', { inputs: [{ ...body().inputs[0], shape: [2, 1] }] }, 'INVALID_REQUEST', /shape \[-1,2\]/],
  ['a wrong datatype', 'mlp', { inputs: [{ ...body().inputs[0], datatype: 'INT32' }] }, 'INVALID_REQUEST', /FP32/],
];

for (const [name, model, payload, code, message] of INVALID) {
  test(`an event with ${name} ends as an error result and a dead letter`, async () => {
    const before = await jobs();
    const { seq } = await send('acme', model, payload);
    await eventsAreDone();
    assert.equal(await jobs(), before);
    const { error, headers } = await refusal('acme', `e-${seq}`);
    assert.deepEqual([error.code, headers['Nats-Msg-Id']], [code, `acme.e-${seq}`]);
    assert.match(error.message, message);
    assert.match(headers['Nats-Service-Error'] as string, message);
    const dead = (await lastOf(mesh.bus, DLQ_STREAM, dlqSubject(code))) as Stored;
    assert.equal(String(dead.payload), typeof payload === 'string' ? payload : JSON.stringify(payload));
    const { 'Nats-Msg-Id': _, 'Nats-Service-Error': text, ...why } = dead.headers;
    assert.match(text as string, message);
    assert.deepEqual(why, {
      'spillway-letter': 'event',
      'spillway-error': code,
      'spillway-reason': '',
      'spillway-origin-subject': `spillway.v1.events.acme.infer.${model}`,
      'spillway-origin-seq': String(seq),
      'spillway-deliveries': '1',
      'spillway-job': `e-${seq}`,
    });
  });
}

test('an expired event and one that is too large say which limit it was', async () => {
  const late = await send('acme', 'mlp', body(), { 'spillway-timeout-ms': '0' });
  const large = await send('acme', 'mlp', 'x'.repeat(4 * 1024 * 1024 + 1));
  await eventsAreDone();
  assert.equal((await refusal('acme', `e-${late.seq}`)).error.reason, 'expired');
  assert.equal((await refusal('acme', `e-${large.seq}`)).error.reason, 'max_body_bytes');
  const dead = (await lastOf(mesh.bus, DLQ_STREAM, dlqSubject('DEADLINE_EXCEEDED'))) as Stored;
  assert.equal(dead.headers['spillway-reason'], 'expired');
});

test('a message that quotes megabytes of the publisher hurts nobody', async () => {
  const input = { name: '\u0001'.repeat(600_000), datatype: 'FP32', shape: [1, 2], data: [1, 2] };
  const { seq } = await send('acme', 'mlp', { inputs: [input, body().inputs[0]] });
  await eventsAreDone();
  assert.equal((await refusal('acme', `e-${seq}`)).error.code, 'INVALID_REQUEST');
});

test('a subject without a model is answered below its tenant; one without a tenant is a dead letter only', async () => {
  const { seq } = await mesh.bus.publishToStream('spillway.v1.events.acme.infer.$$$', Buffer.from('{}'));
  await eventsAreDone();
  assert.match((await refusal('acme', `e-${seq}`)).error.message, /^subject: expected/);
  const results = await messagesIn(mesh.bus, RESULTS_STREAM);
  await mesh.bus.publishToStream('spillway.v1.events.$$$', Buffer.from('{}'));
  await eventsAreDone();
  const dead = (await lastOf(mesh.bus, DLQ_STREAM, dlqSubject('INVALID_REQUEST'))) as Stored;
  assert.equal(dead.headers['spillway-origin-subject'], 'spillway.v1.events.$$$');
  assert.equal(await messagesIn(mesh.bus, RESULTS_STREAM), results);
});

test('the first result of a job stays, also when the second is an error', async () => {
  await mesh.bus.publishToStream(resultSubject('acme', 'taken'), Buffer.from('{"first":1}'));
  await send('acme', 'mlp', '{', { 'spillway-job': 'taken' });
  await eventsAreDone();
  const kept = (await lastOf(mesh.bus, RESULTS_STREAM, resultSubject('acme', 'taken'))) as Stored;
  assert.equal(String(kept.payload), '{"first":1}');
});

test('a model that was registered a moment ago is served: the record itself decides, not the watch', async () => {
  const record: ModelRecord = { ...mlp, model: 'brand-new' };
  await openBucket<ModelRecord>(mesh.bus, MODELS).put(record.model, record);
  await send('acme', 'brand-new', body());
  await eventsAreDone();
  assert.equal((await jobIn('standard', 'brand-new')).frame.model, 'brand-new');
});

test('two gateways share the consumer: each event becomes one job', async () => {
  await using second = await startGatewayAt(mesh.nats.url);
  assert.ok(second.ports.http > 0);
  const before = await jobs();
  await Promise.all(Array.from({ length: 300 }, (_, i) => send('acme', 'mlp', body([i, i]))));
  await eventsAreDone();
  assert.equal(await jobs(), before + 300);
});

test('events that come while no gateway runs wait, and so do those of a NATS that restarts', async () => {
  await mesh.gateway.drain(1_000);
  await mesh.gateway[Symbol.asyncDispose]();
  const before = await jobs();
  for (let i = 0; i < 20; i += 1) await send('acme', 'mlp', body([i, 0]));
  await mesh.nats.restart();
  await until('the bus is up again', () => mesh.bus.up);
  assert.equal(await messagesIn(mesh.bus, EVENTS_STREAM), 20);
  await using later = await startGatewayAt(mesh.nats.url);
  assert.ok(later.ports.http > 0);
  await eventsAreDone();
  assert.equal(await jobs(), before + 20);
  await mesh.nats.restart();
  await until('the bus is up again', () => mesh.bus.up);
  await send('acme', 'mlp', body([9, 9]));
  await eventsAreDone();
  assert.equal(await jobs(), before + 21);
});
