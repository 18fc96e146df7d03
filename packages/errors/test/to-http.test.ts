import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CATALOGUE, ERROR_CODES } from '../src/catalogue.ts';
import { SpillwayError } from '../src/spillway-error.ts';
import { toOip } from '../src/to-oip.ts';
import { toOpenAi } from '../src/to-openai.ts';
import { toPlain } from '../src/to-plain.ts';

test('a refusal carries code, knob and hint in headers, the text in the body', () => {
  const error = new SpillwayError('OVERLOADED', 'too much', { reason: 'predicted_wait', retryAfterMs: 1_200.4 });
  assert.deepEqual(toOip(error), {
    status: 503,
    body: { error: 'too much' },
    headers: {
      'spillway-error': 'OVERLOADED',
      'spillway-reason': 'predicted_wait',
      'retry-after': '2',
      'retry-after-ms': '1201',
    },
  });
});

test('every refusal that is worth repeating has a hint of at least one whole second, computed or not', () => {
  for (const retryAfterMs of [undefined, 0, 1, 999, 1_000, Number.NaN, Number.POSITIVE_INFINITY, -5]) {
    const { headers } = toOip(new SpillwayError('UNAVAILABLE', 'away', { retryAfterMs }));
    assert.equal(headers['retry-after'], '1', String(retryAfterMs));
    assert.match(headers['retry-after-ms'] ?? '', /^\d+$/);
  }
});

test('a code that is not worth repeating has no hint, even when one was given', () => {
  const { headers } = toOip(new SpillwayError('INVALID_REQUEST', 'x', { retryAfterMs: 100 }));
  assert.deepEqual(headers, { 'spillway-error': 'INVALID_REQUEST' });
});

test('a reason that is not the name of a knob stays inside', () => {
  const { headers } = toOip(new SpillwayError('CONFLICT', 'x', { reason: 'a\r\nset-cookie: b' }));
  assert.equal('spillway-reason' in headers, false);
});

test('cause and stack never reach a body', () => {
  const error = SpillwayError.from(new Error('secret'));
  for (const reply of [toOip(error), toOpenAi(error)]) assert.doesNotMatch(JSON.stringify(reply), /secret|\.ts/);
});

test('every code maps to an OpenAI error with its own status and all four members', () => {
  for (const code of ERROR_CODES) {
    const reply = toOpenAi(new SpillwayError(code, 'text'));
    assert.equal(reply.status, CATALOGUE[code].http);
    assert.deepEqual(Object.keys(reply.body.error), ['message', 'type', 'param', 'code']);
  }
});

test('OpenAI types and codes are those of the original service where it has one', () => {
  const seen = (code: ConstructorParameters<typeof SpillwayError>[0]) => {
    const { type, code: name } = toOpenAi(new SpillwayError(code, 'text')).body.error;
    return `${type}/${name}`;
  };
  assert.equal(seen('UNAUTHENTICATED'), 'invalid_request_error/invalid_api_key');
  assert.equal(seen('FORBIDDEN'), 'permission_error/forbidden');
  assert.equal(seen('MODEL_NOT_FOUND'), 'invalid_request_error/model_not_found');
  assert.equal(seen('QUOTA_EXCEEDED'), 'rate_limit_error/rate_limit_exceeded');
  assert.equal(seen('OVERLOADED'), 'server_error/overloaded');
  assert.equal(seen('INVALID_REQUEST'), 'invalid_request_error/null');
  assert.equal(seen('BACKEND_FAILED'), 'server_error/backend_failed');
});

test('an invalid OpenAI request names the member and the broken rule', () => {
  const error = new SpillwayError('INVALID_REQUEST', 'expected messages', { reason: 'empty_array' });
  const { type, param, code } = toOpenAi(error, 'messages').body.error;
  assert.deepEqual({ type, param, code }, { type: 'invalid_request_error', param: 'messages', code: 'empty_array' });
});

test('SDKs are told not to repeat 409, 500, 502 and 504, and nothing on 429 and 503', () => {
  const told = ERROR_CODES.filter(
    (code) => toOpenAi(new SpillwayError(code, '')).headers['x-should-retry'] === 'false',
  );
  assert.deepEqual(told, ['CONFLICT', 'DEADLINE_EXCEEDED', 'BACKEND_FAILED', 'INTERNAL']);
});

test('the plain door says code, message and reason, all three always', () => {
  const shed = new SpillwayError('OVERLOADED', 'too much', { reason: 'fair_rate', retryAfterMs: 120 });
  assert.deepEqual(toPlain(shed), {
    status: 503,
    body: { error: { code: 'OVERLOADED', message: 'too much', reason: 'fair_rate' } },
    headers: {
      'spillway-error': 'OVERLOADED',
      'spillway-reason': 'fair_rate',
      'retry-after': '1',
      'retry-after-ms': '120',
    },
  });
  const wrong = toPlain(new SpillwayError('INVALID_REQUEST', 'inputs: expected one'));
  assert.deepEqual(wrong.body.error, { code: 'INVALID_REQUEST', message: 'inputs: expected one', reason: null });
});
