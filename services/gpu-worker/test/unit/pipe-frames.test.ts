import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME, FrameReader, frameHeader, HEADER_BYTES } from '../../src/core/pipe-frames.ts';

type Seen = { kind: number; text: string; stampMs: number };

function collect(): { seen: Seen[]; reader: FrameReader } {
  const seen: Seen[] = [];
  const reader = new FrameReader((kind, payload, stampMs) =>
    seen.push({ kind, text: Buffer.from(payload).toString(), stampMs }),
  );
  return { seen, reader };
}

const frame = (kind: 1 | 2 | 3 | 4, text: string, stampMs = 0): Buffer =>
  Buffer.concat([frameHeader(kind, Buffer.byteLength(text), stampMs), Buffer.from(text)]);

const THREE = [frame(FRAME.run, 'first', 12.5), frame(FRAME.done, ''), frame(FRAME.loaded, 'x'.repeat(300))];
const EXPECTED = [
  { kind: FRAME.run, text: 'first', stampMs: 12.5 },
  { kind: FRAME.done, text: '', stampMs: 0 },
  { kind: FRAME.loaded, text: 'x'.repeat(300), stampMs: 0 },
];

test('frames that arrive together are cut apart in order', () => {
  const { seen, reader } = collect();
  reader.push(Buffer.concat(THREE));
  assert.deepEqual(seen, EXPECTED);
});

test('a stream cut at any byte gives the same frames', () => {
  const stream = Buffer.concat(THREE);
  for (const size of [1, 2, 7, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, 100]) {
    const { seen, reader } = collect();
    for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));
    assert.deepEqual(seen, EXPECTED, `pieces of ${size} bytes`);
  }
});

test('a payload in one chunk is a view of it, not a copy', () => {
  const chunk = frame(FRAME.run, 'payload');
  let payload: Uint8Array | undefined;
  new FrameReader((_, bytes) => {
    payload = bytes;
  }).push(chunk);
  assert.equal(payload?.buffer, chunk.buffer);
});

test('a length that no message has is a bug that shows at once', () => {
  const { reader } = collect();
  const header = frameHeader(FRAME.run, 0);
  header.writeUInt32LE(0xffff_ffff, 0);
  assert.throws(() => reader.push(header), /bug: a frame of 4294967295 bytes/);
});
