import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOf, type EventMessage, readEvent, storedAtMs } from '../../src/core/event-request.ts';

const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
const event = (over: { subject?: string; payload?: unknown; headers?: Record<string, string> } = {}): EventMessage => ({
  subject: over.subject ?? 'spillway.v1.events.acme.infer.mlp',
  payload: Buffer.isBuffer(over.payload) ? over.payload : Buffer.from(JSON.stringify(over.payload ?? body)),
  streamSeq: 7,
  ackSubject: '',
  header: (name) => over.headers?.[name],
});
const call = { requestId: 'r-1', startMs: 1_000, ageMs: 0, traceparent: '' };
const publisherOf = () => ({ trafficClass: 'standard' as const, keyId: 'k1' });
const rules = { publisherOf, maxBodyBytes: 1_024, maxPrepareMs: 5_000 };
const read = (over: Parameters<typeof event>[0] = {}, ageMs = 0) => readEvent(event(over), { ...call, ageMs }, rules);

test('a plain event is the infer request of the tenant and model in its subject', () => {
  const { request, address, deadlineMs } = read();
  assert.deepEqual(
    [request.tenant, request.keyId, request.model, request.trafficClass, request.id],
    ['acme', 'k1', 'mlp', 'standard', 'r-1'],
  );
  assert.deepEqual(request.inputs[0]?.shape, [1, 2]);
  assert.deepEqual(address, { tenant: 'acme', job: 'e-7' });
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
  assert.equal(codeOf({ headers: { 'content-type': 'Application/CloudEvents+json' } }), 'UNSUPPORTED');
  assert.equal(codeOf({ headers: { 'ce-specversion': '1.0' } }), 'UNSUPPORTED');
  assert.equal(codeOf({ headers: { 'spillway-timeout-ms': 'soon' } }), 'INVALID_REQUEST');
  assert.equal(codeOf({ subject: 'spillway.v1.events.acme.infer.a b' }), 'INVALID_REQUEST');
  assert.equal(codeOf({ subject: 'spillway.v1.events.acme.train.mlp' }), 'INVALID_REQUEST');
});

test('a result has an address as soon as the subject names a tenant', () => {
  assert.deepEqual(addressOf(event({ subject: 'spillway.v1.events.acme' })), { tenant: 'acme', job: 'e-7' });
  assert.equal(addressOf(event({ subject: 'spillway.v1.events.$.infer.mlp' })), undefined);
  const headers = { 'spillway-job': 'mine', 'Nats-Msg-Id': 'x' };
  assert.equal(addressOf(event({ headers }))?.job, 'mine');
});

test('the time in the stream is read from both forms of the acknowledgement subject', () => {
  assert.equal(storedAtMs('$JS.ACK.S.C.2.30.4.1700000000123000000.7'), 1_700_000_000_123);
  assert.equal(storedAtMs('$JS.ACK.D.ACC.S.C.2.30.4.1700000000123000000.7.rnd'), 1_700_000_000_123);
});
