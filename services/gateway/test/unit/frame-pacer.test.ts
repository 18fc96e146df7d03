import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { FramePacer } from '../../src/adapters/frame-pacer.ts';

const setUp = (holdMs: number) => {
  const acks: (() => void)[] = [];
  let sends = 0;
  const pacer = new FramePacer(() => {
    sends += 1;
    return [new Promise<void>((resolve) => acks.push(resolve))];
  }, holdMs);
  return { pacer, acks, sends: () => sends };
};

test('an idle gateway sends at the end of the turn', async () => {
  const { pacer, sends } = setUp(60_000);
  pacer.flushSoon();
  assert.equal(sends(), 0);
  await turn();
  assert.equal(sends(), 1);
});

test('while a frame is under way the next requests wait for its acknowledgement and leave together', async () => {
  const { pacer, acks, sends } = setUp(60_000);
  pacer.flushSoon();
  await turn();
  pacer.flushSoon();
  await turn();
  assert.equal(sends(), 1);
  acks[0]?.();
  await turn();
  assert.equal(sends(), 2);
  acks[1]?.();
  await turn();
  assert.equal(sends(), 2, 'nothing is held any more');
});

test('a frame does not wait longer than its limit for an acknowledgement', async () => {
  const { pacer, sends } = setUp(1);
  pacer.flushSoon();
  await turn();
  pacer.flushSoon();
  while (sends() < 2) await delay(1);
});
