import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda } from '../../src/agenda.ts';
import { randomStream } from '../../src/random.ts';

test('entries come out in the order of their times, and none before its time', () => {
  const random = randomStream(1, 'agenda');
  const agenda = new Agenda<number>();
  const times = Array.from({ length: 2_000 }, () => Math.floor(random() * 500));
  for (const time of times) agenda.add(time, time);
  const taken: number[] = [];
  for (let nowMs = 0; nowMs < 500; nowMs += 7) {
    for (let item = agenda.takeDue(nowMs); item !== undefined; item = agenda.takeDue(nowMs)) {
      assert.ok(item <= nowMs);
      taken.push(item);
      if (item % 50 === 3 && item < 400) agenda.add(item + 60, item + 60); // while it is emptied
    }
    assert.ok(agenda.nextMs > nowMs);
  }
  const sorted = [...taken].sort((a, b) => a - b);
  assert.ok(taken.length >= 1_990);
  assert.deepEqual(taken, sorted);
});

test('an empty agenda has nothing to do, ever', () => {
  const agenda = new Agenda<string>();
  assert.equal(agenda.nextMs, Number.POSITIVE_INFINITY);
  assert.equal(agenda.takeDue(1e12), undefined);
});
