import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { CATALOGUE, ERROR_CODES } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { fromServiceError, toServiceError } from '../src/errors.ts';

test('every code comes back from its gRPC error with message, reason and hint', () => {
  for (const code of ERROR_CODES) {
    const sent = new SpillwayError(code, 'expected 3, got 4', { reason: 'knob', retryAfterMs: 250 });
    const serviceError = toServiceError(sent);
    assert.equal(serviceError.code, CATALOGUE[code].grpc);
    const back = fromServiceError(serviceError);
    const retryAfterMs = CATALOGUE[code].retry === 'after-hint' ? 250 : undefined;
    assert.deepEqual(
      { code: back.code, message: back.message, reason: back.reason, retryAfterMs: back.retryAfterMs },
      { code, message: 'expected 3, got 4', reason: 'knob', retryAfterMs },
    );
    assert.equal(back.cause, serviceError);
  }
});

test('the trailers name code, knob, hint and pushback', () => {
  const { metadata } = toServiceError(new SpillwayError('OVERLOADED', 'full', { reason: 'knob', retryAfterMs: 1_500 }));
  const { 'grpc-status-details-bin': details, ...plain } = metadata.getMap();
  assert.deepEqual(plain, {
    'spillway-error': 'OVERLOADED',
    'spillway-reason': 'knob',
    'retry-after': '2',
    'retry-after-ms': '1500',
    'grpc-retry-pushback-ms': '1500',
  });
  assert.ok(Buffer.isBuffer(details));
});

test('what is not worth repeating tells gRPC not to', () => {
  const { metadata } = toServiceError(new SpillwayError('BACKEND_FAILED', 'x'));
  assert.deepEqual(metadata.get('grpc-retry-pushback-ms'), ['-1']);
});

test('a status without our trailer becomes typed, and its text, which names peers, stays inside', () => {
  const foreign = (code: number): ServiceError =>
    Object.assign(new Error(), { code, details: 'connect ECONNREFUSED 10.0.0.7:8040', metadata: new Metadata() });
  const expected = {
    1: 'CANCELLED',
    2: 'INTERNAL',
    4: 'DEADLINE_EXCEEDED',
    8: 'PAYLOAD_TOO_LARGE',
    12: 'UNSUPPORTED',
    13: 'INTERNAL',
    14: 'UNAVAILABLE',
  };
  for (const [code, name] of Object.entries(expected)) {
    const error = fromServiceError(foreign(Number(code)));
    assert.equal(error.code, name);
    assert.doesNotMatch(error.message, /10\.0\.0\.7/);
  }
});
