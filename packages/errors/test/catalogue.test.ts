import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CATALOGUE, ERROR_CODES, isErrorCode } from '../src/catalogue.ts';
import { errorsPage } from '../src/print-docs.ts';

/** Written out by hand: a change of a released status must be made in two places, on purpose. */
const STATUSES = {
  INVALID_REQUEST: [400, 3],
  UNAUTHENTICATED: [401, 16],
  FORBIDDEN: [403, 7],
  MODEL_NOT_FOUND: [404, 5],
  NOT_FOUND: [404, 5],
  METHOD_NOT_ALLOWED: [405, 12],
  CONFLICT: [409, 6],
  PAYLOAD_TOO_LARGE: [413, 8],
  UNSUPPORTED_MEDIA: [415, 3],
  QUOTA_EXCEEDED: [429, 8],
  OVERLOADED: [503, 14],
  UNAVAILABLE: [503, 14],
  DEADLINE_EXCEEDED: [504, 4],
  CANCELLED: [499, 1],
  BACKEND_FAILED: [502, 13],
  UNSUPPORTED: [501, 12],
  INTERNAL: [500, 13],
};

test('every code has the statuses that were promised', () => {
  const actual = Object.fromEntries(ERROR_CODES.map((code) => [code, [CATALOGUE[code].http, CATALOGUE[code].grpc]]));
  assert.deepEqual(actual, STATUSES);
});

test('exactly the refusals for capacity, quota and absence are worth repeating after a hint', () => {
  const repeatable = ERROR_CODES.filter((code) => CATALOGUE[code].retry === 'after-hint');
  assert.deepEqual(repeatable, ['QUOTA_EXCEEDED', 'OVERLOADED', 'UNAVAILABLE']);
});

test('only codes of the catalogue are codes, names of every object are not', () => {
  assert.equal(isErrorCode('OVERLOADED'), true);
  for (const text of ['overloaded', '', 'toString', '__proto__']) assert.equal(isErrorCode(text), false, text);
});

test('docs/errors.md is what the catalogue prints', () => {
  const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  assert.equal(page, errorsPage(), 'run: node packages/errors/src/print-docs.ts > docs/errors.md');
});
