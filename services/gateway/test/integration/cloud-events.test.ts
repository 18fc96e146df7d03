import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { workFrameCodec } from '@spillway/contracts/messages';
import { DLQ_STREAM, EVENTS_STREAM, JOBS_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { dlqSubject, eventsSubject, jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { until } from '@spillway/testing/until';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayUnderTest } from './gateway-under-test.ts';
import { InferenceClient } from './grpc-client.ts';
import { ask } from './grpc-mesh.ts';
import { lastOf, messagesIn, type Stored } from './jetstream-peek.ts';

let mesh: GatewayUnderTest;
before(async () => {
  mesh = await startGatewayUnderTest({ models: [mlp] });
});
after(() => mesh[Symbol.asyncDispose]());

const request = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
const attributes = { specversion: '1.0', id: 'order 1', source: '/orders', type: 'order.placed', correlationid: 'c-1' };
const asHeaders = (of: Record<string, string>) =>
  Object.fromEntries(Object.entries(of).map(([name, value]) => [`ce-${name}`, encodeURIComponent(value)]));

const send = async (payload: object, headers: Record<string, string>) => {
  const bytes = Buffer.from(JSON.stringify(payload));
  const { seq } = await mesh.bus.publishToStream(eventsSubject('acme', 'mlp'), bytes, { headers });
  await until('every event is settled', async () => (await messagesIn(mesh.bus, EVENTS_STREAM)) === 0);
  return seq;
};
const lastJob = async () => {
  const stored = (await lastOf(mesh.bus, JOBS_STREAM, jobsSubject('standard', 'mlp'))) as Stored;
  return workFrameCodec.decode(stored.payload).items[0]?.job;
};

test('a CloudEvent becomes a job in either mode, and the same event one job', async () => {
  await send(request, { ...asHeaders(attributes), 'ce-traceparent': `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` });
  const binary = await lastJob();
  assert.equal(binary?.traceparent.slice(3, 35), 'a'.repeat(32), "the trace is the publisher's");
  assert.deepEqual({ ...binary?.event }, { mode: 'binary', id: 'order 1', correlationId: 'c-1' });
  assert.match(binary?.job ?? '', /^[a-z2-7]{32}$/);
  const count = await messagesIn(mesh.bus, JOBS_STREAM);
  const json = { 'Content-Type': 'application/cloudevents+json; charset=UTF-8' };
  await send({ ...attributes, data: request }, json);
  assert.equal(await messagesIn(mesh.bus, JOBS_STREAM), count, 'equal source and id: the same event');
  await send({ ...attributes, id: 'order 2', data: request }, json);
  const structured = await lastJob();
  assert.deepEqual({ ...structured?.event }, { mode: 'structured', id: 'order 2', correlationId: 'c-1' });
});

test('a CloudEvent at fault is answered as a CloudEvent, and its copy can be published again', async () => {
  const headers = { ...asHeaders(attributes), 'ce-time': 'yesterday', 'spillway-job': 'bad-time' };
  await send(request, headers);
  const result = (await lastOf(mesh.bus, RESULTS_STREAM, resultSubject('acme', 'bad-time'))) as Stored;
  assert.deepEqual(
    ['ce-id', 'ce-type', 'ce-source'].map((name) => result.headers[name]),
    ['bad-time', 'spillway.infer.failed.v1', '/spillway/mlp'],
  );
  assert.match(JSON.parse(String(result.payload)).error.message, /^time: expected a time/);
  const dead = (await lastOf(mesh.bus, DLQ_STREAM, dlqSubject('INVALID_REQUEST'))) as Stored;
  assert.deepEqual([dead.headers['ce-id'], dead.headers['ce-time']], ['order%201', 'yesterday']);
});

test('what a job is asked for travels with it: outputs, the second subject, its request', async () => {
  const replyTo = '_INBOX.mine.1';
  const headers = { 'spillway-reply-to': replyTo, 'x-request-id': 'r-9' };
  const seq = await send({ ...request, outputs: [{ name: mlp.outputs[0]?.name }] }, headers);
  const job = await lastJob();
  assert.deepEqual(
    [job?.replyTo, job?.outputs, job?.requestId, job?.trafficClass, job?.originSeq],
    [replyTo, [mlp.outputs[0]?.name], 'r-9', 'standard', seq],
  );
});

test('an error is published once more where the publisher wants it; an output that is not there is one', async () => {
  const got = Promise.withResolvers<string>();
  mesh.bus.subscribe('_INBOX.mine.2', ({ payload }) => got.resolve(Buffer.from(payload).toString()));
  await send({ ...request, outputs: [{ name: 'zz' }] }, { 'spillway-reply-to': '_INBOX.mine.2' });
  assert.match(JSON.parse(await got.promise).error.message, /^outputs: the model has no output "zz"/);
});

test('a subject that is not the publisher’s own is refused, and nothing is published there', async () => {
  const stolen = resultSubject('other', 'x');
  const seq = await send(request, { 'spillway-reply-to': stolen });
  const result = (await lastOf(mesh.bus, RESULTS_STREAM, resultSubject('acme', `e-${seq}`))) as Stored;
  assert.match(JSON.parse(String(result.payload)).error.message, /^spillway-reply-to: expected/);
  assert.equal(await lastOf(mesh.bus, RESULTS_STREAM, stolen), undefined);
});

test("the vendors' list of a trace goes into the job from every door, without its trace or malformed it goes nowhere", async () => {
  const traceparent = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
  const tracestate = 'rojo=00f067aa0ba902b7,congo=t61';
  const { http, grpc } = mesh.gateway.ports;
  using client = new InferenceClient(grpc);
  const prefer = { prefer: 'respond-async' };
  const doors: Record<string, (headers: Record<string, string>) => Promise<unknown>> = {
    HTTP: (headers) =>
      fetch(`http://127.0.0.1:${http}/v2/models/mlp/infer`, {
        ...{ method: 'POST', body: JSON.stringify(request) },
        headers: { ...prefer, ...headers },
      }),
    gRPC: (headers) => client.infer(ask('mlp'), { headers: { ...prefer, ...headers } }),
    NATS: (headers) => send(request, headers),
    CloudEvents: (headers) => send(request, { ...asHeaders({ ...attributes, id: crypto.randomUUID(), ...headers }) }),
  };
  for (const [name, door] of Object.entries(doors)) {
    const seen: string[] = [];
    for (const headers of [{ traceparent, tracestate }, { tracestate }, { traceparent, tracestate: 'rojo' }]) {
      await door(headers);
      seen.push((await lastJob())?.tracestate ?? '');
    }
    assert.deepEqual(seen, [tracestate, '', ''], name);
  }
});
