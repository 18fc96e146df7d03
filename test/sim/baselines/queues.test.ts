import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attempt } from '../chain/attempt.ts';
import { defaultModel } from '../chain/spec.ts';
import { bentoml } from './bentoml.ts';
import { codel } from './codel.ts';
import { fifo } from './fifo.ts';
import type { QueuePolicy, QueueSetting } from './queue-policy.ts';
import { staticLimit } from './static-limit.ts';
import { triton } from './triton.ts';

const SETTING: QueueSetting = { maxRows: 4, deadlineMs: 200, instances: 1, rowsPerMs: 0.2 };

const attempt = (user: number, sentAtMs: number, rank = 1): Attempt => ({
  model: defaultModel,
  rank,
  tenant: 't',
  keyId: '',
  user,
  rows: 1,
  acceptsTicket: false,
  sentAtMs,
  deadlineMs: sentAtMs + 200,
  onAnswer: () => undefined,
  open: true,
  admitted: false,
  variant: '',
  onEnd: undefined,
});

const users = (attempts: readonly Attempt[]): number[] => attempts.map(({ user }) => user);
const fill = (queue: QueuePolicy, n: number, fields: { atMs?: number; rank?: number } = {}): boolean[] =>
  Array.from({ length: n }, (_, user) => queue.push(attempt(user, fields.atMs ?? 0, fields.rank), fields.atMs ?? 0));

test('fifo takes everything, serves the oldest first and drops nothing', () => {
  const queue = fifo(SETTING);
  assert.deepEqual([...new Set(fill(queue, 1_000))], [true]);
  const { batch, dropped } = queue.take(10_000);
  assert.deepEqual([users(batch), dropped], [[0, 1, 2, 3], []]);
});

test('a static limit refuses any class when it is reached, serves the highest class first, and frees what has ended', () => {
  const queue = staticLimit(SETTING); // 20 in flight
  fill(queue, 19);
  assert.equal(queue.push(attempt(100, 0, 0), 0), true);
  assert.equal(queue.push(attempt(101, 0, 0), 0), false);
  assert.equal(queue.take(0).batch[0]?.user, 100);
  queue.ended(4, 20, 20);
  assert.equal(queue.push(attempt(102, 20, 2), 20), true);
});

test('codel serves a calm queue in order, and a congested one newest first without what has waited longer than the target', () => {
  const calm = codel(SETTING);
  fill(calm, 2);
  assert.deepEqual(users(calm.take(5).batch), [0, 1]);
  const congested = codel(SETTING);
  fill(congested, 8);
  for (const user of [20, 21, 22, 23]) congested.push(attempt(user, 145), 145);
  const { batch, dropped } = congested.take(150);
  assert.deepEqual(users(batch), [23, 22, 21, 20]);
  assert.equal(dropped.length, 8);
});

test('triton keeps a queue for each priority, refuses beyond its size and rejects what waited for its timeout', () => {
  const queue = triton(SETTING); // 40 in each queue
  assert.deepEqual([fill(queue, 41).at(-1), queue.push(attempt(100, 150, 0), 150)], [false, true]);
  const { batch, dropped } = queue.take(200);
  assert.deepEqual([users(batch), dropped.length], [[100], 40]);
});

test('bentoml answers 503 to the oldest while its wait and the predicted run of the whole queue exceed the latency', () => {
  const queue = bentoml(SETTING);
  for (let n = 0; n < 6; n += 1) queue.ended(n + 1, 10 + (n + 1) * 5, n); // 5 ms a row, 10 ms a batch
  fill(queue, 50);
  const { batch, dropped } = queue.take(20);
  assert.equal(dropped.length, 50 - 33); // 20 + 5 · 34 + 10 ≥ 200, 20 + 5 · 33 + 10 < 200
  assert.equal(batch.length, 4);
  assert.deepEqual(users(batch), [49, 48, 47, 46]);
});
