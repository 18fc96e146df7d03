import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClockOffsets } from '../src/deadline.ts';

test('the age of a message is what it took longer than the fastest heartbeat', () => {
  const offsets = new ClockOffsets();
  const senderIsAhead = 5_000; // the sender's clock shows this much more
  offsets.observe('gw', 100 + senderIsAhead, 103); // 3 ms under way
  offsets.observe('gw', 200 + senderIsAhead, 201); // 1 ms
  offsets.observe('gw', 300 + senderIsAhead, 320); // 20 ms
  assert.equal(offsets.ageMs('gw', 400 + senderIsAhead, 441), 40);
});

test('an age is never negative, and a sender not heard yet has age 0', () => {
  const offsets = new ClockOffsets();
  assert.equal(offsets.ageMs('gw', 0, 1_000), 0);
  offsets.observe('gw', 0, 10);
  assert.equal(offsets.ageMs('gw', 100, 105), 0);
});

test('an offset that is older than the window is forgotten, so that drifting clocks do not add up', () => {
  const offsets = new ClockOffsets(10_000);
  offsets.observe('gw', 0, 1);
  for (let ms = 1_000; ms <= 20_000; ms += 1_000) offsets.observe('gw', ms, ms + 50);
  assert.equal(offsets.ageMs('gw', 21_000, 21_050), 0);
});
