import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkItem } from '@spillway/contracts/messages';
import { TurnBuffer } from '../../src/core/turn-buffer.ts';

const item = (seq: number, rows = 1, bytes = 8): WorkItem => ({
  seq,
  requestId: `r-${seq}`,
  budgetMs: 100,
  rows,
  cost: rows,
  route: 0,
  traceparent: '',
  tensors: new Uint8Array(bytes),
  tenant: 't',
});
const route = { version: '1', variant: '', shapes: 'x' };
const seqs = (frames: { items: WorkItem[] }[]) => frames.map(({ items }) => items.map(({ seq }) => seq));

test('requests of one model and class leave in one frame, others in their own', () => {
  const buffer = new TurnBuffer({ maxFrameBytes: 10_000 });
  buffer.add('mlp', 'vip', route, item(1), 8);
  buffer.add('mlp', 'bulk', route, item(2), 8);
  buffer.add('mlp', 'vip', route, item(3), 8);
  assert.deepEqual(seqs(buffer.flush()), [[1, 3], [2]]);
  assert.equal(buffer.empty, true);
});

test('a frame holds at most one full batch of rows', () => {
  const buffer = new TurnBuffer({ maxFrameBytes: 10_000 });
  for (const seq of [1, 2, 3]) buffer.add('mlp', 'vip', route, item(seq, 3), 8);
  assert.deepEqual(seqs(buffer.flush()), [[1, 2], [3]]);
});

test('a frame is cut before it grows beyond its bytes, and one bigger request has its own', () => {
  const buffer = new TurnBuffer({ maxFrameBytes: 500 });
  buffer.add('mlp', 'vip', route, item(1, 1, 200), 64);
  buffer.add('mlp', 'vip', route, item(2, 1, 4_000), 64);
  buffer.add('mlp', 'vip', route, item(3, 1, 200), 64);
  assert.deepEqual(seqs(buffer.flush()), [[1], [2], [3]]);
});

test('equal routes are stated once', () => {
  const buffer = new TurnBuffer({ maxFrameBytes: 10_000 });
  buffer.add('mlp', 'vip', { ...route }, item(1), 8);
  buffer.add('mlp', 'vip', { ...route, version: '2' }, item(2), 8);
  buffer.add('mlp', 'vip', { ...route }, item(3), 8);
  const [frame] = buffer.flush();
  assert.equal(frame?.routes.length, 2);
  assert.deepEqual(
    frame?.items.map((i) => i.route),
    [0, 1, 0],
  );
});
