import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { Credits } from '../../src/core/credits.ts';
import { served } from './fixtures.ts';

test('credits add up by worker and model', () => {
  const credits = new Credits(new ManualClock());
  const slot = credits.join('w', served('m'));
  credits.join('w', served('n'));
  assert.equal(credits.grant('w', 'm', 2), true);
  credits.grant('w', 'm', 1);
  assert.equal(slot.free, 3);
  assert.equal(credits.grant('w', 'unknown', 1), false);
  assert.equal(credits.grant('nobody', 'm', 1), false);
});

test('a worker that only says hello does not make its models served here', () => {
  const clock = new ManualClock();
  const credits = new Credits(clock);
  const slot = credits.join('w', served('m'));
  const [instance] = slot.instances;
  assert.ok(instance);
  assert.equal(credits.serving('m'), false);
  credits.grant('w', 'm', 1);
  assert.equal(credits.serving('m'), true);
  slot.free -= 1;
  instance.sent(5, clock.now());
  assert.equal(credits.serving('m'), true, 'its batch is under way');
  instance.ended({ predictedMs: 5, runMs: 5, ran: true, nowMs: clock.now() });
  assert.equal(credits.serving('m'), false);
});

test('a worker that said goodbye, or never asked, is nobody to pull for', () => {
  const credits = new Credits(new ManualClock());
  credits.join('warm', served('m'));
  credits.join('home', served('m'));
  assert.equal(credits.hasHome('m'), false);
  credits.grant('home', 'm', 1);
  assert.equal(credits.hasHome('m'), true);
  credits.stop('home');
  assert.deepEqual([credits.hasHome('m'), credits.serving('m')], [false, false]);
});

test('a lost worker takes its credits with it', () => {
  const credits = new Credits(new ManualClock());
  credits.join('w', served('m'));
  credits.grant('w', 'm', 2);
  assert.deepEqual(credits.leave('w'), ['m']);
  assert.deepEqual(credits.free('m'), []);
});

test('executors of a new generation are idle and cold, and the credits of the former ones count for them', () => {
  const clock = new ManualClock();
  const credits = new Credits(clock);
  const former = credits.join('w', served('m'));
  credits.grant('w', 'm', 2);
  former.instances[0]?.sent(50, clock.now());
  assert.equal(credits.join('w', served('m')), former, 'the same generation: the same slot');
  const next = credits.join('w', { ...served('m'), generation: 1, slots: 2, versions: ['2'] });
  assert.notEqual(next, former);
  assert.deepEqual([next.free, next.asked, next.instances.length, next.inFlight], [2, true, 2, 0]);
  assert.deepEqual(credits.slotsOf('m'), [next]);
  assert.deepEqual(credits.free('m')[0]?.startInMs, 0);
  assert.deepEqual(credits.leave('w'), ['m'], 'it is counted once');
});

test('a model that a worker does not name any more is not served by it', () => {
  const credits = new Credits(new ManualClock());
  credits.greet('w', [served('m'), served('n')]);
  credits.greet('other', [served('m')]);
  credits.grant('w', 'm', 1);
  credits.grant('w', 'n', 1);
  assert.deepEqual(credits.greet('w', [served('n')]), ['m']);
  assert.deepEqual([credits.hasHome('m'), credits.hasHome('n')], [false, true]);
  assert.deepEqual(
    credits.slotsOf('m').map(({ worker }) => worker),
    ['other'],
  );
  assert.equal(credits.grant('w', 'm', 1), false);
  assert.deepEqual(credits.greet('w', [served('m'), served('n')]), [], 'it may come back');
  assert.equal(credits.grant('w', 'm', 1), true);
});
