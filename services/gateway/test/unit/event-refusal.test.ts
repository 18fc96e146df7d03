import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { deadLetter, errorResult } from '../../src/core/event-refusal.ts';

const bad = new SpillwayError('INVALID_REQUEST', 'inputs: expected an array\nof tensors ≥ 1');
const event = {
  subject: 'spillway.v1.events.acme.infer.mlp',
  payload: Buffer.from('{"inputs":1}'),
  streamSeq: 7,
  deliveries: 2,
  ackSubject: '',
  header: (name: string) => (name === 'spillway-class' ? 'bu\nlk' : undefined),
};

test('an error result says code, message and reason in its body, and in headers of one line', () => {
  const { payload, headers } = errorResult(bad, 'r-1');
  assert.deepEqual(JSON.parse(String(payload)), {
    error: { code: 'INVALID_REQUEST', message: bad.message, reason: '' },
  });
  assert.deepEqual(headers, {
    'spillway-error': 'INVALID_REQUEST',
    'x-request-id': 'r-1',
    'Nats-Service-Error': 'inputs: expected an array of tensors ≥ 1',
    'Nats-Service-Error-Code': '400',
  });
});

test('a message that quotes megabytes is cut', () => {
  const long = new SpillwayError('INVALID_REQUEST', `input "${'x'.repeat(4_000_000)}"`);
  const { payload, headers } = errorResult(long, 'r-1');
  assert.ok(payload.byteLength < 2_048, `${payload.byteLength}`);
  assert.ok((headers['Nats-Service-Error'] as string).length < 2_048);
});

test('a dead letter is the event, with why, whence and how often', () => {
  const { payload, headers } = deadLetter(event, 'e-7', bad, 1_000);
  assert.equal(payload, event.payload);
  assert.deepEqual(headers, {
    'spillway-class': 'bu lk',
    'spillway-job': 'e-7',
    'spillway-error': 'INVALID_REQUEST',
    'spillway-reason': '',
    'spillway-origin-subject': event.subject,
    'spillway-origin-seq': '7',
    'spillway-deliveries': '2',
  });
});

test('an event that is too large to be copied with its headers is cut to what fits', () => {
  assert.equal(deadLetter(event, undefined, bad, 5).payload.byteLength, 5);
});
