import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES } from '../src/catalogue.ts';
import { SpillwayError } from '../src/spillway-error.ts';
import { type JetstreamAction, toJetstream } from '../src/to-jetstream.ts';

const MAX_DELIVER = 3;
const NAK: JetstreamAction = { kind: 'nak', delayMs: 1_000 };
const DEAD: JetstreamAction = { kind: 'term', deadLetter: true };

const actions = (code: ConstructorParameters<typeof SpillwayError>[0]) =>
  [1, 2, 3].map((deliveries) => toJetstream(new SpillwayError(code, ''), deliveries, MAX_DELIVER));

test('a failed model is tried up to max_deliver, the last delivery writes the dead letter', () => {
  assert.deepEqual(actions('BACKEND_FAILED'), [NAK, NAK, DEAD]);
});

test('a bug is tried once more', () => {
  assert.deepEqual(actions('INTERNAL'), [NAK, DEAD, DEAD]);
});

test('a capacity refusal delays a job by its hint, whatever the count', () => {
  const error = new SpillwayError('OVERLOADED', '', { retryAfterMs: 70 });
  assert.deepEqual(toJetstream(error, 50, MAX_DELIVER), { kind: 'nak', delayMs: 70 });
});

test('a result that is already stored ends the job well', () => {
  assert.deepEqual(actions('CONFLICT')[0], { kind: 'ack' });
});

test('a cancelled job leaves no dead letter', () => {
  assert.deepEqual(actions('CANCELLED')[0], { kind: 'term', deadLetter: false });
});

test('every other code is dead-lettered at once', () => {
  const special = [
    'BACKEND_FAILED',
    'INTERNAL',
    'OVERLOADED',
    'QUOTA_EXCEEDED',
    'UNAVAILABLE',
    'CONFLICT',
    'CANCELLED',
  ];
  for (const code of ERROR_CODES.filter((c) => !special.includes(c))) assert.deepEqual(actions(code)[0], DEAD, code);
});
