import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monotonicClock } from '../src/clock.ts';
import { newInstanceId, RequestIds } from '../src/ids.ts';
import { ManualClock } from '../src/manual-clock.ts';

test('a manual clock starts at 1000 and moves only when told', () => {
  const clock = new ManualClock();
  assert.equal(clock.now(), 1_000);
  clock.advance(2.5);
  assert.equal(clock.now(), 1_002.5);
});

test('a manual clock refuses to go back, or nowhere', () => {
  const clock = new ManualClock();
  assert.throws(() => clock.advance(-1), /bug/);
  assert.throws(() => clock.advance(Number.NaN), /bug/);
});

test('the monotonic clock never goes back', () => {
  let last = monotonicClock.now();
  for (let i = 0; i < 10_000; i += 1) {
    const now = monotonicClock.now();
    assert.ok(now >= last);
    last = now;
  }
});

test('instance ids are allowlisted, carry their service and differ', () => {
  const ids = new Set(Array.from({ length: 1_000 }, () => newInstanceId('gpu-worker')));
  assert.equal(ids.size, 1_000);
  for (const id of ids) assert.match(id, /^gpu-worker-[0-9a-z]{8}$/);
});

test('a service name that breaks the allowlist gives no id', () => {
  for (const service of ['', 'a.b', 'a b', 'x'.repeat(56)]) assert.throws(() => newInstanceId(service), /bug/);
});

test('request ids are allowlisted, short and never repeat, within a process and across two', () => {
  const sources = [new RequestIds(), new RequestIds()];
  const ids = new Set(sources.flatMap((source) => Array.from({ length: 50_000 }, () => source.next())));
  assert.equal(ids.size, 100_000);
  for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]{1,26}$/);
});
