import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { End } from '../../src/recorder.ts';
import { kind, makeLoop, ok, refused } from './fixtures.ts';

type Made = ReturnType<typeof makeLoop>;
const counted = ({ group }: Made, end: End | 'offered' | 'attempts' | 'served'): number => group.counts[end].sum();

test('requests are sent when they are due, whatever became of those before', () => {
  const made = makeLoop([kind()], [5, 5.2, 20, 70]);
  made.runTo(80);
  assert.deepEqual(
    made.sent.map(({ atMs }) => Math.floor(atMs)),
    [5, 6, 20, 70],
  );
  assert.equal(new Set(made.sent.map(({ attempt }) => attempt.input)).size, 4);
  assert.equal(made.loop.inFlight, 4);
});

test('what is late to be sent is recorded as late, and latency counts from when it was due', () => {
  const made = makeLoop([kind()], [5, 6]);
  made.clock.advance(30); // the process was kept from running
  made.loop.tick();
  for (const { end } of made.sent) end(ok());
  assert.ok(Math.abs(made.recorder.lateness[0]!.maxMs - 25) < 0.01);
  assert.ok(Math.abs(made.group.cells[0]!.latency.maxMs - 25) < 0.01);
});

test('an answer after the deadline is late, and none within the patience is a failure', () => {
  const made = makeLoop([kind()], [10, 10]);
  made.runTo(120);
  made.sent[0]!.end(ok());
  assert.equal(counted(made, 'late'), 1);
  made.runTo(161);
  assert.equal(counted(made, 'failed'), 1);
  assert.ok(made.sent[1]!.givenUp);
  made.sent[1]!.end(ok()); // too late to count
  assert.equal(counted(made, 'late'), 1);
  assert.ok(made.loop.finished);
});

test('answers count by quality: full, degraded, a ticket, wrong', () => {
  const made = makeLoop([kind()], [1, 1, 1, 1]);
  made.runTo(2);
  const answers = [ok(), ok({ degraded: true }), { ...ok(), end: 'ticket' as const }, ok({ wrong: true })];
  made.sent.forEach(({ end }, n) => {
    end(answers[n]!);
  });
  assert.deepEqual(
    (['good', 'degraded', 'ticket', 'wrong', 'served', 'offered'] as const).map((end) => counted(made, end)),
    [1, 1, 1, 1, 2, 4],
  );
});

test('a naive client tries again at once, each try with the whole deadline', () => {
  const made = makeLoop([kind({ retry: { kind: 'naive', tries: 3 } })], [10]);
  made.runTo(30);
  made.sent[0]!.end(refused());
  made.runTo(32);
  made.sent[1]!.end(refused());
  made.runTo(34);
  assert.deepEqual(
    made.sent.map(({ attempt }) => [attempt.tries, attempt.budgetMs]),
    [
      [1, 100],
      [2, 100],
      [3, 100],
    ],
  );
  made.sent[2]!.end(ok());
  assert.deepEqual([counted(made, 'offered'), counted(made, 'attempts'), counted(made, 'served')], [1, 3, 1]);
  assert.equal(new Set(made.sent.map(({ attempt }) => attempt.input)).size, 1);
});

test('an obedient client comes back at the hinted time and not before; its success there is counted', () => {
  const made = makeLoop([kind({ retry: { kind: 'obey', tries: 2 } })], [10]);
  made.runTo(12);
  made.sent[0]!.end(refused(1_500));
  made.runTo(1_511);
  assert.equal(made.sent.length, 1);
  assert.equal(made.loop.finished, false);
  made.runTo(1_513);
  made.sent[1]!.end(ok());
  const { hints } = made.group.cells[1]!; // the try at the hint belongs to the phase in which it is due
  assert.deepEqual([hints.retried, hints.served, hints.refusedAgain], [1, 1, 0]);
  assert.equal(made.group.cells[0]!.hints.given.total, 1);
  assert.equal(made.group.counts.served.at(0), 1); // and the request to the one in which it was made
});

test('without a hint an obedient client gives up', () => {
  const made = makeLoop([kind({ retry: { kind: 'obey', tries: 2 } })], [10]);
  made.runTo(12);
  made.sent[0]!.end(refused());
  made.runTo(3_000);
  assert.equal(made.sent.length, 1);
  assert.ok(made.loop.finished);
});

test('tries that are paid from a budget share one deadline', () => {
  const made = makeLoop([kind({ retry: { kind: 'budget', tries: 3 } })], [10]);
  made.runTo(20);
  made.sent[0]!.end(refused(40));
  made.runTo(75);
  const [, second] = made.sent;
  assert.ok(second!.attempt.budgetMs <= 50.001 && second!.attempt.budgetMs > 40, `${second!.attempt.budgetMs}`);
  second!.end(refused(40)); // what is left is shorter than the hint
  made.runTo(400);
  assert.equal(made.sent.length, 2);
});

test('a cancelled request is given up after its time, and counts as cancelled', () => {
  const made = makeLoop([kind({ cancel: { probability: 1, afterMs: 20 } })], [10]);
  made.runTo(29);
  assert.equal(made.sent[0]!.givenUp, false);
  made.runTo(31);
  assert.ok(made.sent[0]!.givenUp);
  assert.deepEqual([counted(made, 'cancelled'), made.loop.inFlight], [1, 0]);
});

test('beyond the bound of requests in flight nothing is sent, and it shows', () => {
  const made = makeLoop([kind()], [1, 2, 3], { maxInFlight: 2 });
  made.runTo(5);
  assert.equal(made.sent.length, 2);
  assert.equal(made.recorder.unsent, 1);
  assert.deepEqual([counted(made, 'offered'), counted(made, 'failed')], [3, 1]);
});

test('a loop that is stopped gives up what is in flight and sends nothing more', () => {
  const made = makeLoop([kind({ retry: { kind: 'obey', tries: 2 } })], [1, 2, 50]);
  made.runTo(5);
  made.sent[0]!.end(refused(1_000));
  made.loop.stop();
  made.runTo(100);
  assert.equal(made.sent.length, 2);
  assert.ok(made.sent[1]!.givenUp && made.loop.finished);
});
