import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EventMessage, headersToKeep, openEvent } from '../../src/core/event-envelope.ts';
import { checkOutputs, readEvent } from '../../src/core/event-request.ts';

const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
const event = (over: { subject?: string; payload?: unknown; headers?: Record<string, string> } = {}): EventMessage => ({
  subject: over.subject ?? 'spillway.v1.events.acme.infer.mlp',
  payload: Buffer.isBuffer(over.payload) ? over.payload : Buffer.from(JSON.stringify(over.payload ?? body)),
  streamSeq: 7,
  header: (name) => over.headers?.[name],
  headerNames: () => Object.keys(over.headers ?? {}),
});
const MAX_BYTES = 1_024;
const NOW_MS = Date.UTC(2026, 0, 31);
const call = { requestId: 'r-1', startMs: 1_000, epochMs: NOW_MS, ageMs: 0, traceparent: '', tracestate: '' };
const publisherOf = () => ({ trafficClass: 'standard' as const, keyId: 'k1' });
const rules = { publisherOf, maxPrepareMs: 5_000 };
const open = (over: Parameters<typeof event>[0] = {}) => openEvent(event(over), MAX_BYTES);
const read = (over: Parameters<typeof event>[0] = {}, ageMs = 0) =>
  readEvent(event(over), open(over), { ...call, ageMs }, rules);
const addressOf = (over: Parameters<typeof event>[0]) => {
  const { job } = open(over);
  return job && [job.tenant, job.job];
};
const CLOUD_EVENT = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/orders', 'ce-type': 'order.placed' };

test('a plain event is the infer request of the tenant and model in its subject', () => {
  const { request, deadlineMs, outputs } = read();
  assert.deepEqual(
    [request.tenant, request.keyId, request.model, request.trafficClass, request.id],
    ['acme', 'k1', 'mlp', 'standard', 'r-1'],
  );
  assert.deepEqual(request.inputs[0]?.shape, [1, 2]);
  assert.deepEqual(addressOf({}), ['acme', 'e-7']);
  assert.deepEqual(outputs, []);
  assert.equal(deadlineMs, Number.POSITIVE_INFINITY, 'a job may take as long as it takes');
});

test('binary tensors lie behind the JSON if the header says how long that is', () => {
  const tensor = { name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } };
  const json = Buffer.from(JSON.stringify({ inputs: [tensor] }));
  const data = Buffer.from(Float32Array.of(3, 4).buffer);
  const headers = { 'inference-header-content-length': String(json.length) };
  const { request } = read({ payload: Buffer.concat([json, data]), headers });
  assert.deepEqual(Buffer.from(request.inputs[0]?.data as Uint8Array), data);
  assert.throws(() => read({ headers: { 'inference-header-content-length': 'ten' } }), { code: 'INVALID_REQUEST' });
});

test('header and priority lower the class of the tenant and never raise it', () => {
  const classOf = (headers: Record<string, string>, priority = 0) =>
    read({ headers, payload: { ...body, parameters: { priority } } }).request.trafficClass;
  assert.equal(classOf({ 'spillway-class': 'bulk' }), 'bulk');
  assert.equal(classOf({ 'spillway-class': 'vip' }), 'standard');
  assert.equal(classOf({}, 3), 'bulk');
});

test('the deadline counts from the time in the stream; look-ups get no more than their own limit', () => {
  const headers = { 'spillway-timeout-ms': '60000' };
  const { deadlineMs, request } = read({ headers }, 10_000);
  assert.deepEqual([deadlineMs, request.budgetMs], [51_000, 5_000]);
  assert.equal(read({ headers }, 58_000).request.budgetMs, 2_000);
  assert.throws(() => read({ headers }, 60_000), { code: 'DEADLINE_EXCEEDED', reason: 'expired' });
  const payload = { ...body, parameters: { timeout: 2_000_000 } }; // µs
  assert.equal(read({ headers, payload }).deadlineMs, 3_000, 'the smallest given');
});

test('the version is a header, since the subject has no place for it', () => {
  assert.equal(read({ headers: { 'spillway-model-version': '2' } }).request.version, '2');
  assert.throws(() => read({ headers: { 'spillway-model-version': '../2' } }), /spillway-model-version: expected/);
});

test('what is not served is refused, naming it', () => {
  const codeOf = (over: Parameters<typeof event>[0]) => {
    try {
      read(over);
      return 'OK';
    } catch (thrown) {
      return (thrown as { code: string }).code;
    }
  };
  assert.equal(codeOf({ payload: Buffer.from('{"inputs":') }), 'INVALID_REQUEST');
  assert.equal(codeOf({ payload: Buffer.alloc(1_025) }), 'PAYLOAD_TOO_LARGE');
  assert.equal(codeOf({ headers: { 'content-type': 'application/cloudevents+avro' } }), 'UNSUPPORTED');
  assert.equal(codeOf({ headers: { 'ce-specversion': '1.0' } }), 'INVALID_REQUEST');
  assert.equal(codeOf({ headers: { 'spillway-timeout-ms': 'soon' } }), 'INVALID_REQUEST');
  assert.equal(codeOf({ subject: 'spillway.v1.events.acme.infer.a b' }), 'INVALID_REQUEST');
  assert.equal(codeOf({ subject: 'spillway.v1.events.acme.train.mlp' }), 'INVALID_REQUEST');
});

test('a result has an address as soon as the subject names a tenant', () => {
  assert.deepEqual(addressOf({ subject: 'spillway.v1.events.acme' }), ['acme', 'e-7']);
  assert.equal(addressOf({ subject: 'spillway.v1.events.$.infer.mlp' }), undefined);
  assert.deepEqual(addressOf({ headers: { 'spillway-job': 'mine', 'Nats-Msg-Id': 'x' } }), ['acme', 'mine']);
});

test('source and id of a CloudEvent name its job, if the publisher names none', () => {
  const idOf = (headers: Record<string, string>) => open({ headers: { ...CLOUD_EVENT, ...headers } }).job?.job;
  assert.match(idOf({}) ?? '', /^[a-z2-7]{32}$/);
  assert.notEqual(idOf({}), idOf({ 'ce-id': '2' }));
  assert.notEqual(idOf({}), idOf({ 'ce-source': '/other' }));
  assert.equal(idOf({}), idOf({ 'ce-type': 'another', 'ce-id': '%31' }));
  assert.equal(idOf({ 'spillway-job': 'mine' }), 'mine');
  assert.equal(idOf({ 'Nats-Msg-Id': 'x' }), open({ headers: { 'Nats-Msg-Id': 'x' } }).job?.job);
});

test('extensions of a CloudEvent lower the class, choose the version and set the end', () => {
  const headers = {
    ...CLOUD_EVENT,
    'ce-spillwayclass': 'bulk',
    'ce-spillwayversion': '2',
    'ce-expirytime': '2026-01-31T00:00:30Z',
    'spillway-timeout-ms': '60000',
  };
  const { request, deadlineMs } = read({ headers });
  assert.deepEqual([request.trafficClass, request.version, deadlineMs], ['bulk', '2', 31_000]);
  assert.equal(read({ headers: { ...headers, 'ce-spillwayclass': 'vip' } }).request.trafficClass, 'standard');
  assert.equal(read({ headers: { ...headers, 'spillway-model-version': '1' } }).request.version, '1');
  const late = { ...headers, 'ce-expirytime': '2026-01-30T23:59:59Z' };
  assert.throws(() => read({ headers: late }), { code: 'DEADLINE_EXCEEDED', reason: 'expired' });
  assert.throws(() => read({ headers: { ...headers, 'ce-spillwayclass': 'gold' } }), /^SpillwayError: spillwayclass: /);
});

test('the result of a CloudEvent takes mode, id and correlation from it, and its mode even if it is at fault', () => {
  const headers = { ...CLOUD_EVENT, 'ce-correlationid': 'c' };
  assert.deepEqual(open({ headers }).job?.event, { mode: 'binary', id: '1', correlationId: 'c' });
  const fault = open({ headers: { 'content-type': 'application/cloudevents+json' }, payload: { id: 1 } });
  assert.deepEqual([fault.job?.event?.mode, fault.fault?.code], ['structured', 'INVALID_REQUEST']);
  assert.equal(open().job?.event, null);
});

test('a subject for the result that is not the publisher’s own is refused, and not used', () => {
  const replyTo = (subject: string) => open({ headers: { 'spillway-reply-to': subject } });
  assert.equal(replyTo('_INBOX.abc').job?.replyTo, '_INBOX.abc');
  const { job, fault } = replyTo('spillway.v1.results.other.x');
  assert.equal(job?.replyTo, '');
  assert.match(fault?.message ?? '', /^spillway-reply-to: expected a subject below _INBOX\./);
});

test('outputs that the model has not are refused before it runs', () => {
  const model = { outputs: [{ name: 'y' }] };
  checkOutputs(['y'], model);
  assert.throws(() => checkOutputs(['y', 'z'], model), { code: 'INVALID_REQUEST', message: /no output "z"; it has y/ });
  assert.deepEqual(read({ payload: { ...body, outputs: [{ name: 'y' }] } }).outputs, ['y']);
});

test('what a copy needs to be published again are the headers that give it its meaning', () => {
  const headers = { 'ce-id': '1', 'Spillway-Class': 'bulk', 'Nats-Msg-Id': 'x', 'spillway-job': 'mine', other: '1' };
  assert.deepEqual(headersToKeep(event({ headers })), { 'ce-id': '1', 'spillway-class': 'bulk' });
});
