import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { Credits } from '../../src/core/credits.ts';
import { Dispatcher } from '../../src/core/dispatcher.ts';
import { Turns } from '../../src/core/turns.ts';
import { unpackFrame } from '../../src/core/work.ts';
import { doneOf, hello, item, RULES, served, TestMessage } from './fixtures.ts';

test('models that share executors get equal time, whatever one of their batches takes', () => {
  const turns = new Turns();
  const [fast, slow] = [{ usedMs: 0 }, { usedMs: 0 }];
  const used = { fast: 0, slow: 0 };
  for (let i = 0; i < 1_000; i += 1) {
    if (turns.isNext(slow, [fast])) {
      turns.sent(slow, 200);
      used.slow += 200;
    } else {
      assert.equal(turns.isNext(fast, [slow]), true, 'nobody is next');
      turns.sent(fast, 5);
      used.fast += 5;
    }
  }
  assert.ok(Math.abs(used.fast - used.slow) <= 200, `${used.fast} and ${used.slow}`);
});

test('a model that wanted nothing for a while has no claim to what it did not use', () => {
  const turns = new Turns();
  const [mine, other] = [{ usedMs: 0 }, { usedMs: 0 }];
  for (let i = 0; i < 100; i += 1) turns.sent(other, 10);
  let inARow = 0;
  while (turns.isNext(mine, [other]) && inARow < 100) {
    turns.sent(mine, 10);
    inARow += 1;
  }
  assert.ok(inARow <= 2, `${inARow}`);
});

test('what other models have at a worker is in the way as far as its executors are shared, which is learned', () => {
  const clock = new ManualClock();
  const credits = new Credits(clock);
  const fast = credits.join('w', served('fast'));
  const slow = credits.join('w', served('slow', { slots: 2 }));
  credits.grant('w', 'fast', 2);
  slow.instances[0]?.sent(200, clock.now());
  assert.equal(credits.free('fast')[0]?.startInMs, 200);
  assert.equal(slow.othersMs(clock.now()), 0);
  for (let i = 0; i < 50; i += 1) fast.observeSharing(100, 0);
  assert.ok((credits.free('fast')[0]?.startInMs ?? 1e9) < 2, 'they have executors of their own');
});

test('the capacity of a model is what the others leave, at least its part', () => {
  const clock = new ManualClock();
  const credits = new Credits(clock);
  const fast = credits.join('w', served('fast'));
  const slow = credits.join('w', served('slow'));
  const busy = (share: number) => {
    for (let i = 0; i < 500; i += 1) {
      slow.ran(10 * share);
      clock.advance(10);
      slow.tick(clock.now());
    }
    return fast.ownShare;
  };
  assert.equal(fast.ownShare, 1);
  assert.ok(Math.abs(busy(0.3) - 0.7) < 0.02);
  assert.equal(busy(0.9), 0.5);
});

test('while its worker is busy a slow model leaves it to a fast one that had less of it', () => {
  const clock = new ManualClock();
  let batches = 0;
  const newBatchId = () => {
    batches += 1;
    return `b${batches}`;
  };
  const dispatcher = new Dispatcher({ clock, newBatchId, jobsShare: 0, bulkShare: 0 });
  dispatcher.setModel('fast', RULES);
  dispatcher.setModel('slow', { ...RULES, shortestDeadlineMs: 10_000 });
  const times = { fast: 5, slow: 200 };
  const models = ['fast', 'slow'] as const;
  dispatcher.join('w', hello('w', ...models.map((m) => served(m, { runMsOne: times[m], runMsFull: times[m] }))));
  const push = (model: string, seq: number) => {
    const frame = dispatcher.frames.hold({
      message: new TestMessage(),
      gateway: 'g',
      replyTo: 'inbox',
      durable: false,
      ackWaitMs: 300,
      maxDeliver: 3,
      requests: 1,
    });
    const message = { gateway: 'g', replyTo: 'inbox', sentMs: 0, model, trafficClass: 'standard', routes: [] };
    const arrival = { frame, model, trafficClass: 'standard', nowMs: clock.now(), agedMs: 0 } as const;
    dispatcher.push(model, unpackFrame({ ...message, items: [item(seq, { budgetMs: 60_000 })] }, arrival));
  };
  for (const model of models) dispatcher.credits.grant('w', model, 2);
  const sent: { model: string; batchId: string }[] = [];
  const used = { fast: 0, slow: 0 };
  const offer = () => {
    for (const model of models) {
      push(model, 1);
      for (let step = dispatcher.next(model); step.dispatch; step = dispatcher.next(model)) {
        const { batchId } = step.dispatch;
        sent.push({ model, batchId });
      }
    }
  };
  // One executor runs what was sent in order; the shell asks every 2.5 ms.
  let leftMs = 0;
  for (let ms = 0; ms < 10_000; ms += 2.5) {
    clock.advance(2.5);
    const [first] = sent;
    if (first !== undefined) {
      const model = first.model as 'fast' | 'slow';
      if (leftMs <= 0) leftMs = times[model];
      leftMs -= 2.5;
      used[model] += 2.5;
      if (leftMs <= 0) {
        sent.shift();
        dispatcher.done('w', doneOf(first.batchId, { model, runMs: times[model] }));
        dispatcher.credits.grant('w', model, 1);
      }
    }
    offer();
  }
  const total = used.fast + used.slow;
  assert.ok(total > 9_800, `the executor stood still for ${10_000 - total} ms`);
  assert.ok(used.fast > 0.35 * total && used.slow > 0.35 * total, `fast ${used.fast} ms, slow ${used.slow} ms`);
});
