import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { type DialOptions, dialDuplex, serveDuplex } from '../src/duplex.ts';
import { breakableWire, ECHO, Heard, jsonCodec, listening, type Note, serve } from './support.ts';

const echo = () => serveDuplex(ECHO, (stream) => stream.onMessage((note) => void stream.send(note)));

function dial(port: number, overrides: Partial<DialOptions<Note, Note>> = {}) {
  const up = new Heard<void>();
  const down = new Heard<SpillwayError>();
  const messages = new Heard<Note>();
  const client = dialDuplex<Note, Note>({
    address: `127.0.0.1:${port}`,
    method: ECHO,
    onMessage: messages.hear,
    onUp: () => up.hear(),
    onDown: (reason) => down.hear(reason),
    backoff: { initialMs: 5, maxMs: 20 },
    connectTimeoutMs: 60_000, // a pause of this process is no peer that says nothing
    ...overrides,
  });
  return { client, up, down, messages, [Symbol.asyncDispose]: () => client.close() };
}

test('five thousand messages come back in order', async () => {
  await using server = await serve([echo()]);
  await using dialled = dial(server.port);
  await dialled.up.next();
  for (let n = 0; n < 5_000; n += 1) assert.equal(dialled.client.send({ n }), true);
  for (let n = 0; n < 5_000; n += 1) assert.equal((await dialled.messages.next()).n, n);
  assert.equal(dialled.client.bufferedBytes, 0);
});

test('before it is up nothing is taken, so nothing waits unseen for a peer that is away', async () => {
  await using server = await serve([echo()]);
  await using dialled = dial(server.port);
  assert.equal(dialled.client.up, false);
  assert.equal(dialled.client.send({ n: 1 }), false);
  await dialled.up.next();
  assert.equal(dialled.client.send({ n: 1 }), true);
});

test('it comes back by itself after the server was killed and started again', async () => {
  const first = await serve([echo()]);
  await using dialled = dial(first.port);
  await dialled.up.next();
  await first[Symbol.asyncDispose]();
  assert.equal((await dialled.down.next()).code, 'UNAVAILABLE');
  assert.equal(dialled.client.send({ n: 0 }), false);
  assert.equal((await dialled.down.next()).code, 'UNAVAILABLE'); // an attempt while nobody listens
  await using _second = await serve([echo()], first.port);
  await dialled.up.next();
  dialled.client.send({ n: 7 });
  assert.deepEqual(await dialled.messages.next(), { n: 7 });
});

test('a server that hangs up in order is dialled again', async () => {
  let streams = 0;
  const once = serveDuplex(ECHO, (stream) => {
    streams += 1;
    stream.onMessage(() => undefined);
    if (streams === 1) stream.close();
  });
  await using server = await serve([once]);
  await using dialled = dial(server.port);
  await dialled.up.next();
  assert.equal((await dialled.down.next()).reason, 'peer_closed');
  await dialled.up.next();
});

test('a server that refuses a stream says why', async () => {
  const refusing = serveDuplex(ECHO, (stream) =>
    stream.close(new SpillwayError('QUOTA_EXCEEDED', 'too many streams', { reason: 'max_streams', retryAfterMs: 30 })),
  );
  await using server = await serve([refusing]);
  await using dialled = dial(server.port);
  const reason = await dialled.down.next();
  assert.deepEqual([reason.code, reason.message, reason.reason], ['QUOTA_EXCEEDED', 'too many streams', 'max_streams']);
  assert.equal(reason.retryAfterMs, 30);
});

test('what was accepted before a close arrives, from either side', async () => {
  const received = new Heard<Note>();
  const closed = new Heard<SpillwayError | undefined>();
  const sink = serveDuplex(ECHO, (stream) => {
    stream.onMessage(received.hear);
    stream.onClose(closed.hear);
    for (let n = 0; n < 100; n += 1) stream.send({ n });
  });
  await using server = await serve([sink]);
  const dialled = dial(server.port, { closeGraceMs: 60_000 });
  for (let n = 0; n < 100; n += 1) assert.equal((await dialled.messages.next()).n, n);
  for (let n = 0; n < 1_000; n += 1) dialled.client.send({ n });
  await dialled.client.close();
  for (let n = 0; n < 1_000; n += 1) assert.equal((await received.next()).n, n);
  assert.equal(await closed.next(), undefined);
  assert.equal(sink.streams.size, 0);
  assert.deepEqual(dialled.down.all, []);
});

test('a connection that breaks is seen from both ends', async () => {
  const closed = new Heard<SpillwayError | undefined>();
  const silent = serveDuplex(ECHO, (stream) => {
    stream.onMessage(() => undefined);
    stream.onClose(closed.hear);
  });
  await using server = await serve([silent]);
  await using wire = await breakableWire(server.port);
  await using dialled = dial(wire.port);
  await dialled.up.next();
  wire.breakAll();
  assert.equal((await closed.next())?.code, 'CANCELLED');
  assert.equal((await dialled.down.next()).code, 'UNAVAILABLE');
  await dialled.up.next();
  assert.equal(silent.streams.size, 1);
});

test('a handler that throws ends its own stream, which comes back', async () => {
  await using server = await serve([echo()]);
  await using dialled = dial(server.port, { onMessage: () => assert.fail('a bug') });
  await dialled.up.next();
  dialled.client.send({ n: 1 });
  assert.equal((await dialled.down.next()).code, 'INTERNAL');
  await dialled.up.next();
});

test('a message that cannot be read ends its stream with INVALID_REQUEST, not the server', async () => {
  await using server = await serve([echo()]);
  const garbage = { encode: () => Buffer.from('{'), decode: ECHO.request.decode };
  await using broken = dial(server.port, { method: { ...ECHO, request: garbage } });
  await using good = dial(server.port);
  await Promise.all([broken.up.next(), good.up.next()]);
  broken.client.send({ n: 1 });
  assert.equal((await broken.down.next()).code, 'INVALID_REQUEST');
  good.client.send({ n: 2 });
  assert.deepEqual(await good.messages.next(), { n: 2 });
});

test('a peer that accepts connections and says nothing is given up, and so are its connections', {
  timeout: 60_000,
}, async () => {
  await using mute = await listening((socket) => void socket.resume());
  await using dialled = dial(mute.port, { connectTimeoutMs: 20 });
  for (let attempt = 0; attempt < 5; attempt += 1) assert.equal((await dialled.down.next()).reason, 'connect_timeout');
  // Each attempt's connection ends with it, but the end takes a moment to be seen.
  while (mute.sockets.size > 2) await new Promise(setImmediate);
});

test('closing while down ends the attempts at once', async () => {
  const server = await serve([echo()]);
  await server[Symbol.asyncDispose]();
  const dialled = dial(server.port);
  await dialled.down.next();
  await dialled.client.close();
  const attempts = dialled.down.all.length;
  await new Promise((resolve) => setTimeout(resolve, 60)); // three of its longest waits
  assert.equal(dialled.down.all.length, attempts);
});

test('a stream carries the headers it was opened with; two methods of one service share a server', async () => {
  const other = { path: '/spillway.test.Echo/Other', request: jsonCodec<Note>(), response: jsonCodec<Note>() };
  const agents = new Heard<string | undefined>();
  const naming = serveDuplex(other, (stream) => {
    stream.onMessage(() => undefined);
    agents.hear(stream.facts.header('user-agent'));
  });
  await using server = await serve([echo(), naming]);
  await using _dialled = dial(server.port, { method: other });
  assert.match((await agents.next()) ?? '', /^spillway /);
});
