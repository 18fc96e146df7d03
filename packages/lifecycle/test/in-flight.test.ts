import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InFlight } from '../src/in-flight.ts';

test('with nothing in flight it is idle at once, even with no time given', async () => {
  assert.equal(await new InFlight().idle(0), true);
});

test('it is idle when the last one ends, and every waiter learns it', async () => {
  const inFlight = new InFlight();
  inFlight.begin();
  inFlight.begin();
  const waiters = Promise.all([inFlight.idle(60_000), inFlight.idle(60_000)]);
  inFlight.end();
  assert.equal(inFlight.count, 1);
  inFlight.end();
  assert.deepEqual(await waiters, [true, true]);
});

test('it says false when the time is over, and can be asked again', async () => {
  const inFlight = new InFlight();
  inFlight.begin();
  assert.equal(await inFlight.idle(1), false);
  const second = inFlight.idle(60_000);
  inFlight.end();
  assert.equal(await second, true);
});

test('ending what never began is a bug', () => {
  assert.throws(() => new InFlight().end(), /bug/);
});
