import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ReplyItem, replyFrameCodec } from '@spillway/contracts/messages';
import { MAX_FRAME_BYTES, packReplies } from '../../src/core/reply-frames.ts';

const FACTS = {
  worker: 'w',
  batchId: 'b',
  model: 'm',
  version: '1',
  variant: '',
  batchRows: 3,
  runMs: 1.5,
  closedBy: 'size',
};
const item = (seq: number, bytes = 4): ReplyItem => ({
  seq,
  errorCode: '',
  errorMessage: '',
  errorReason: '',
  tensors: new Uint8Array(bytes),
  queueMs: 0,
});

test('one frame for each gateway, with the answers that are its own', () => {
  const frames = packReplies(
    FACTS,
    ['inbox.a', 'inbox.b'],
    [
      { replyTo: 0, item: item(1) },
      { replyTo: 1, item: item(1) },
      { replyTo: 0, item: item(2) },
    ],
  );
  const seen = frames.map(({ subject, frame }) => ({
    subject,
    seqs: replyFrameCodec.decode(frame).items.map(({ seq }) => seq),
  }));
  assert.deepEqual(seen, [
    { subject: 'inbox.a', seqs: [1, 2] },
    { subject: 'inbox.b', seqs: [1] },
  ]);
  const { items: _, ...facts } = replyFrameCodec.decode(frames[0]?.frame as Uint8Array);
  assert.deepEqual({ ...facts }, { ...FACTS });
});

test('a frame that would grow too large is cut, and no answer is lost or doubled', () => {
  const replies = Array.from({ length: 40 }, (_, seq) => ({ replyTo: 0, item: item(seq, 60_000) }));
  const frames = packReplies(FACTS, ['inbox'], replies);
  assert.ok(frames.length > 1);
  for (const { frame } of frames) assert.ok(frame.length <= MAX_FRAME_BYTES + 1_024);
  const seqs = frames.flatMap(({ frame }) => replyFrameCodec.decode(frame).items.map(({ seq }) => seq));
  assert.deepEqual(
    seqs,
    replies.map((reply) => reply.item.seq),
  );
});

test('an answer that is larger than a frame travels alone', () => {
  const frames = packReplies(
    FACTS,
    ['inbox'],
    [
      { replyTo: 0, item: item(1) },
      { replyTo: 0, item: item(2, MAX_FRAME_BYTES + 1) },
      { replyTo: 0, item: item(3) },
    ],
  );
  assert.deepEqual(
    frames.map(({ frame }) => replyFrameCodec.decode(frame).items.map(({ seq }) => seq)),
    [[1], [2], [3]],
  );
});

test('an answer to an inbox that the batch does not name is dropped; a gateway without answers gets no frame', () => {
  assert.deepEqual(packReplies(FACTS, ['inbox'], [{ replyTo: 7, item: item(1) }]), []);
});
