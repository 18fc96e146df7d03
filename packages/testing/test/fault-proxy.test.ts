import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FaultLane } from '../src/fault-lane.ts';
import { FaultProxy, type Filter } from '../src/fault-proxy.ts';

/** Echoes; the string `bye` ends the connection in order. */
const echo = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => undefined);
  socket.on('data', (data) => (data.toString() === 'bye' ? socket.end('bye') : socket.write(data)));
  socket.on('end', () => socket.end());
});
let targetPort = 0;
before(async () => {
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  targetPort = (echo.address() as { port: number }).port;
});
after(() => echo.close());

const dial = async (port: number): Promise<Socket> => {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
};

/** Sends, and collects what comes back until it is as long. */
async function roundTrip(socket: Socket, data: Buffer): Promise<{ back: Buffer; ms: number }> {
  const startMs = performance.now();
  const parts: Buffer[] = [];
  socket.write(data);
  while (Buffer.concat(parts).length < data.length) parts.push((await once(socket, 'data'))[0] as Buffer);
  return { back: Buffer.concat(parts), ms: performance.now() - startMs };
}

const endOf = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let how = 'closed';
    socket.once('error', (error: NodeJS.ErrnoException) => {
      how = error.code ?? 'error';
    });
    socket.once('close', () => resolve(how));
    socket.resume();
  });

test('without faults bytes pass unchanged, and an end passes as an end', async () => {
  await using proxy = await FaultProxy.start({ targetPort });
  const socket = await dial(proxy.port);
  const data = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
  assert.deepEqual((await roundTrip(socket, data)).back, data);
  const ended = endOf(socket);
  socket.write('bye');
  assert.equal(await ended, 'closed');
});

test('latency delays both ways of an open connection and ends when healed', async () => {
  await using proxy = await FaultProxy.start({ targetPort });
  const socket = await dial(proxy.port);
  await proxy.set({ up: { latencyMs: 40 }, down: { latencyMs: 40 } });
  assert.ok((await roundTrip(socket, Buffer.from('slow'))).ms >= 76); // two timers, each of which may round down
  await proxy.set({ up: { latencyMs: 600_000 }, down: { latencyMs: 600_000 } });
  await proxy.heal();
  assert.ok((await roundTrip(socket, Buffer.from('fast'))).ms < 600_000);
  socket.destroy();
});

test('jitter keeps the order of the bytes', async () => {
  await using proxy = await FaultProxy.start({ targetPort, seed: 7 });
  await proxy.set({ up: { latencyMs: 5, jitterMs: 5 } });
  const socket = await dial(proxy.port);
  const sent: Buffer[] = [];
  const parts: Buffer[] = [];
  socket.on('data', (data: Buffer) => parts.push(data));
  for (let i = 0; i < 20; i += 1) {
    const piece = Buffer.from([i]);
    sent.push(piece);
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (Buffer.concat(parts).length < 20) await once(socket, 'data');
  assert.deepEqual(Buffer.concat(parts), Buffer.concat(sent));
  socket.destroy();
});

test('bandwidth bounds the rate', async () => {
  await using proxy = await FaultProxy.start({ targetPort });
  await proxy.set({ up: { bytesPerSecond: 100_000 } });
  const socket = await dial(proxy.port);
  const { ms, back } = await roundTrip(socket, Buffer.alloc(20_000, 1));
  assert.equal(back.length, 20_000);
  assert.ok(ms >= 190, `${ms} ms`);
  socket.destroy();
});

test('a slicer cuts a message into many pieces', async () => {
  await using proxy = await FaultProxy.start({ targetPort });
  await proxy.set({ down: { sliceBytes: 3, sliceDelayMs: 1 } });
  const socket = await dial(proxy.port);
  assert.equal((await roundTrip(socket, Buffer.from('0123456789'))).back.toString(), '0123456789');
  socket.destroy();
  // What a socket reads at once depends on when it reads: the pieces are counted where they are written.
  const [from, pieces] = [new PassThrough(), [] as string[]];
  const to = new Writable({ write: (piece, _, done) => done(void pieces.push(String(piece))) });
  const lane = { sliceBytes: 3, sliceDelayMs: 1 };
  new FaultLane(from, to, () => lane, Math.random, assert.fail);
  from.end('0123456789');
  await once(to, 'finish');
  assert.deepEqual(pieces, ['012', '345', '678', '9']);
});

test('after the limit the connection is reset in the middle of a message', async () => {
  await using proxy = await FaultProxy.start({ targetPort });
  await proxy.set({ down: { limitBytes: 4 } });
  const socket = await dial(proxy.port);
  const parts: Buffer[] = [];
  socket.on('data', (data: Buffer) => parts.push(data));
  const ended = endOf(socket);
  socket.write('0123456789');
  assert.equal(await ended, 'ECONNRESET');
  assert.equal(Buffer.concat(parts).toString().slice(0, 4), '0123'.slice(0, Buffer.concat(parts).length));
});

test('a one-way drop swallows one direction and leaves the other and the connection', async () => {
  await using proxy = await FaultProxy.start({ targetPort });
  const socket = await dial(proxy.port);
  await proxy.set({ down: { drop: true } });
  socket.write('lost');
  while (proxy.dropped < 4) await delay(1);
  await proxy.heal();
  assert.equal((await roundTrip(socket, Buffer.from('kept'))).back.toString(), 'kept');
  assert.equal(proxy.connections, 1);
  socket.destroy();
});

test('the same seed corrupts the same bits', async () => {
  const damaged = async (seed: number): Promise<string> => {
    await using proxy = await FaultProxy.start({ targetPort, seed });
    await proxy.set({ up: { corrupt: 1 } });
    const socket = await dial(proxy.port);
    const { back } = await roundTrip(socket, Buffer.alloc(64));
    socket.destroy();
    return back.toString('hex');
  };
  const [first, again, other] = [await damaged(3), await damaged(3), await damaged(4)];
  assert.equal(first, again);
  assert.notEqual(first, other);
  assert.notEqual(first, '00'.repeat(64));
});

test('closed refuses new connections and resets open ones; healed it accepts again at the same port', async () => {
  await using proxy = await FaultProxy.start({ targetPort });
  const ended = endOf(await dial(proxy.port));
  await proxy.set({ accept: 'closed' });
  assert.equal(await ended, 'ECONNRESET');
  await assert.rejects(dial(proxy.port), /ECONNREFUSED/);
  await proxy.heal();
  const socket = await dial(proxy.port);
  assert.equal((await roundTrip(socket, Buffer.from('back'))).back.toString(), 'back');
  socket.destroy();
});

test('a silent peer accepts and never answers', async () => {
  await using proxy = await FaultProxy.start({ targetPort });
  await proxy.set({ accept: 'silent' });
  const socket = await dial(proxy.port);
  socket.write('anyone?');
  const answer = Promise.race([once(socket, 'data'), new Promise((resolve) => setTimeout(resolve, 50, 'nothing'))]);
  assert.equal(await answer, 'nothing');
  socket.destroy();
});

test('a target that is not there looks like a reset connection', async () => {
  await using proxy = await FaultProxy.start({ targetPort: 1 });
  const socket = await dial(proxy.port);
  assert.equal(await endOf(socket), 'ECONNRESET');
});

test('a filter decides what comes back, for each connection on its own', async () => {
  const filter: Filter = (pass) => {
    let chunks = 0;
    return (chunk) => {
      chunks += 1;
      if (chunks === 1) pass(Buffer.from(chunk.toString().toUpperCase()));
    };
  };
  await using proxy = await FaultProxy.start({ targetPort, filter });
  for (let connection = 0; connection < 2; connection += 1) {
    const socket = await dial(proxy.port);
    assert.equal((await roundTrip(socket, Buffer.from('first'))).back.toString(), 'FIRST');
    socket.write('bye');
    assert.equal(await endOf(socket), 'closed', 'its answer was kept back, its end was not');
  }
});
