import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CATALOGUE, type ErrorCode, ERROR_CODES as KNOWN } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toOip } from '@spillway/errors/to-oip';
import { ERROR_CODES, errorFromGrpc, errorFromHttp, errorFromObject, SpillwayClientError } from '../../src/errors.ts';

const fields = (values: Record<string, string>) => (name: string) => values[name];
const none = fields({});

test('its codes are those of the catalogue, and it repeats what the catalogue says may be repeated', () => {
  assert.deepEqual(ERROR_CODES, KNOWN);
  for (const code of KNOWN) {
    const repeated = CATALOGUE[code].retry === 'after-hint';
    assert.equal(new SpillwayClientError(code, '').isRetryable, repeated, code);
  }
});

test('what the HTTP door answers is read back: code, message, reason, hint', () => {
  for (const code of KNOWN) {
    const { status, body, headers } = toOip(new SpillwayError(code, 'why', { reason: 'knob', retryAfterMs: 1_234 }));
    const error = errorFromHttp(status, fields({ ...headers, 'x-request-id': 'r-1' }), JSON.stringify(body));
    const hint = CATALOGUE[code].retry === 'after-hint' ? 1_234 : undefined;
    assert.deepEqual(
      [error.code, error.message, error.reason, error.retryAfterMs, error.requestId, error.status],
      [code, 'why', 'knob', hint, 'r-1', status],
    );
  }
});

test('an answer of something in between is named by its status', () => {
  const cases: [number, ErrorCode][] = [
    [400, 'INVALID_REQUEST'],
    [404, 'NOT_FOUND'],
    [418, 'INVALID_REQUEST'],
    [429, 'QUOTA_EXCEEDED'],
    [502, 'UNAVAILABLE'],
    [503, 'UNAVAILABLE'],
    [599, 'INTERNAL'],
  ];
  for (const [status, code] of cases) assert.equal(errorFromHttp(status, none, '<html>').code, code);
  assert.equal(errorFromHttp(503, fields({ 'retry-after': '2' }), '').retryAfterMs, 2_000);
  assert.equal(errorFromGrpc(14, 'no connection', none).code, 'UNAVAILABLE');
  assert.equal(errorFromGrpc(8, 'too large', none).code, 'PAYLOAD_TOO_LARGE');
  assert.equal(errorFromGrpc(14, 'shed', fields({ 'spillway-error': 'OVERLOADED' })).code, 'OVERLOADED');
});

test('a stored error is read from its object', () => {
  const error = errorFromObject({ code: 'OVERLOADED', message: 'full', reason: 'queue_bound', retry_after_ms: 50 });
  assert.deepEqual(
    [error.code, error.message, error.reason, error.retryAfterMs],
    ['OVERLOADED', 'full', 'queue_bound', 50],
  );
  assert.equal(errorFromObject('bad').message, 'bad');
  assert.equal(errorFromObject({ code: 'NEW_CODE' }).code, 'INTERNAL');
});
