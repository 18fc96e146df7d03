import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEvents } from '../../src/server-sent-events.ts';

async function* bodyOf(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield new TextEncoder().encode(chunk);
}

test('events are read wherever the chunks are cut, with comments and other fields between', async () => {
  const body = bodyOf(
    ': hello\n\ndata: {"a"',
    ':1}\n',
    '\nevent: x\nid: 3\ndata: {"b":\ndata: 2}\r\n\r',
    '\ndata: {"c":3}\n\ndata: {"cut',
  );
  assert.deepEqual(await Array.fromAsync(readEvents(body)), [{ a: 1 }, { b: 2 }, { c: 3 }]);
});
