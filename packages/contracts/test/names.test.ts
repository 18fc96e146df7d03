import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isName, toName } from '../src/names.ts';
import {
  dlqSubject,
  eventsSubject,
  jobsSubject,
  parseEventsSubject,
  resultSubject,
  workSubject,
} from '../src/subjects.ts';

const HOSTILE = [
  '',
  'a.b',
  'a.>',
  '*',
  '>',
  'a b',
  'a\r\nPUB x',
  'a\0',
  'ä',
  '../x',
  'a'.repeat(65),
  'a\tb',
  '$JS',
  'a/b',
];

test('user text becomes part of a subject only through the allowlist', () => {
  for (const text of HOSTILE) {
    assert.equal(isName(text), false, JSON.stringify(text));
    for (const build of [
      () => workSubject('vip', text),
      () => jobsSubject('bulk', text),
      () => eventsSubject(text, 'm'),
      () => eventsSubject('t', text),
      () => resultSubject('t', text),
      () => resultSubject(text, 'j'),
      () => dlqSubject(text),
    ]) {
      assert.throws(build, { code: 'INVALID_REQUEST' }, JSON.stringify(text));
    }
  }
});

test('a refusal does not repeat the refused text', () => {
  assert.throws(
    () => toName('se cret', 'model'),
    (error: Error) => !error.message.includes('cret'),
  );
});

test('the subject of an event names tenant and model, and nothing else matches', () => {
  assert.deepEqual(parseEventsSubject(eventsSubject('acme', 'intent')), { tenant: 'acme', model: 'intent' });
  for (const other of [
    'spillway.v1.events.a.b',
    'spillway.v1.events.a.infer.m.x',
    'x',
    'spillway.v1.events.a.infer.',
  ]) {
    assert.equal(parseEventsSubject(other), undefined);
  }
});
