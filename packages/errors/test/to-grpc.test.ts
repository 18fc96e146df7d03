import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { CATALOGUE, ERROR_CODES } from '../src/catalogue.ts';
import { SpillwayError } from '../src/spillway-error.ts';
import { statusDetails, toGrpc } from '../src/to-grpc.ts';

/** The messages as googleapis publishes them, reduced to the fields that the specification names. */
const PROTO = `syntax = "proto3"; package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }`;
const GOOGLE_RPC = protobuf.parse(PROTO, { keepCase: true }).root;

type Any = { type_url: string; value: Uint8Array };

function decode(bytes: Uint8Array) {
  const plain = (type: string, value: Uint8Array): Record<string, unknown> => {
    const message = GOOGLE_RPC.lookupType(type);
    return message.toObject(message.decode(value), { longs: Number });
  };
  const status = plain('google.rpc.Status', bytes);
  const details = (status['details'] as Any[]).map(({ type_url, value }) => {
    const type = type_url.replace('type.googleapis.com/', '');
    return { type, ...plain(type, value) };
  });
  return { code: status['code'], message: status['message'], details };
}

test('every code decodes to its status with ErrorInfo of our domain', () => {
  for (const code of ERROR_CODES) {
    const decoded = decode(statusDetails(new SpillwayError(code, 'text', { reason: 'knob' })));
    assert.equal(decoded.code, CATALOGUE[code].grpc);
    assert.equal(decoded.message, 'text');
    const info = { type: 'google.rpc.ErrorInfo', reason: 'knob', domain: 'spillway', metadata: { code } };
    assert.deepEqual(decoded.details[0], info);
    assert.equal(decoded.details.length, CATALOGUE[code].retry === 'after-hint' ? 2 : 1);
  }
});

test('the hint is a duration of whole seconds and the nanoseconds that remain', () => {
  const hint = (retryAfterMs: number) =>
    decode(statusDetails(new SpillwayError('QUOTA_EXCEEDED', '', { retryAfterMs }))).details[1];
  const retry = (delay: Record<string, number>) => ({ type: 'google.rpc.RetryInfo', retry_delay: delay });
  assert.deepEqual(hint(2_250), retry({ seconds: 2, nanos: 250_000_000 }));
  assert.deepEqual(hint(999), retry({ nanos: 999_000_000 }));
  assert.deepEqual(hint(86_400_000), retry({ seconds: 86_400 }));
  assert.deepEqual(hint(0), retry({}));
});

test('a message in any script survives', () => {
  const text = `größer als ¾, ${'字'.repeat(500)}`;
  assert.equal(decode(statusDetails(new SpillwayError('INVALID_REQUEST', text))).message, text);
});

test('a message fits a header block whatever a caller had in it', () => {
  const { message } = toGrpc(new SpillwayError('INVALID_REQUEST', `got \ud800${'x'.repeat(100_000)}`));
  assert.equal(message.length, 1_001);
  assert.doesNotThrow(() => encodeURI(message));
});

test('without a knob the code stands as reason', () => {
  const [info] = decode(statusDetails(new SpillwayError('INTERNAL', 'x'))).details;
  assert.equal((info as { reason?: string }).reason, 'INTERNAL');
});

test('a hint is also the pushback of gRPC; what is not worth repeating says do not', () => {
  assert.deepEqual(toGrpc(new SpillwayError('OVERLOADED', 'full', { reason: 'r', retryAfterMs: 40.2 })), {
    code: 14,
    message: 'full',
    reason: 'r',
    retryAfterMs: 41,
    pushbackMs: 41,
  });
  assert.deepEqual(toGrpc(new SpillwayError('BACKEND_FAILED', 'x')), { code: 13, message: 'x', pushbackMs: -1 });
});

test('a refusal that clients must not repeat on their own says so, and still tells when to come back', () => {
  const status = toGrpc(new SpillwayError('OVERLOADED', 'too much', { retryAfterMs: 250, autoRetry: false }));
  assert.deepEqual([status.pushbackMs, status.retryAfterMs], [-1, 250]);
});
