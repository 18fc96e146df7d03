import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServedDuplex } from '../src/duplex.ts';
import { dialDuplex, serveDuplex } from '../src/duplex.ts';
import { ECHO, Heard, type Note, serve } from './support.ts';

const BOUND = 256 * 1024;
const NOTE = 'x'.repeat(10_000);

async function dialled(onStream: (stream: ServedDuplex<Note, Note>) => void) {
  const server = await serve([serveDuplex(ECHO, onStream, { maxBufferedBytes: BOUND })]);
  const up = new Heard<void>();
  const drain = new Heard<void>();
  const messages = new Heard<Note>();
  const client = dialDuplex<Note, Note>({
    address: `127.0.0.1:${server.port}`,
    method: ECHO,
    onMessage: messages.hear,
    onUp: () => up.hear(),
    onDrain: () => drain.hear(),
    bounds: { maxBufferedBytes: BOUND },
  });
  await up.next();
  const dispose = async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
  };
  return { client, drain, messages, [Symbol.asyncDispose]: dispose };
}

/** Sends until refused or a thousand times, a turn of the loop between any two. */
async function fill(send: (note: Note) => boolean): Promise<number> {
  for (let n = 0; n < 1_000; n += 1) {
    if (!send({ n, text: NOTE })) return n;
    await new Promise(setImmediate);
  }
  return assert.fail('was never refused');
}

test('a server that stops reading makes send say false, within the bound; once it reads again all arrive in order', async () => {
  const received = new Heard<Note>();
  let served: ServedDuplex<Note, Note> | undefined;
  await using link = await dialled((stream) => {
    stream.pause();
    stream.onMessage(received.hear);
    served = stream;
  });
  const accepted = await fill((note) => link.client.send(note));
  assert.ok(link.client.bufferedBytes <= BOUND + NOTE.length + 200, `${link.client.bufferedBytes} bytes`);
  served?.resume();
  await link.drain.next();
  assert.ok(link.client.bufferedBytes <= BOUND / 2);
  assert.equal(link.client.send({ n: accepted }), true);
  for (let n = 0; n <= accepted; n += 1) assert.equal((await received.next()).n, n);
});

test('a client that stops reading makes the server see it', async () => {
  const streams = new Heard<ServedDuplex<Note, Note>>();
  const drained = new Heard<void>();
  await using link = await dialled((stream) => {
    stream.onMessage(() => undefined);
    stream.onDrain(() => drained.hear());
    streams.hear(stream);
  });
  const stream = await streams.next();
  link.client.pause();
  const accepted = await fill((note) => stream.send(note));
  assert.ok(stream.bufferedBytes <= BOUND + NOTE.length + 200);
  link.client.resume();
  await drained.next();
  for (let n = 0; n < accepted; n += 1) assert.equal((await link.messages.next()).n, n);
});

test('a message above the limit is refused before it can end the stream that others use', async () => {
  await using link = await dialled((stream) => stream.onMessage((note) => void stream.send({ n: note.n })));
  const text = 'x'.repeat(17 * 1024 * 1024);
  assert.throws(() => link.client.send({ n: 1, text }), { code: 'PAYLOAD_TOO_LARGE', reason: 'max_message_bytes' });
  link.client.send({ n: 2, text: 'x'.repeat(15 * 1024 * 1024) });
  assert.equal((await link.messages.next()).n, 2);
});
