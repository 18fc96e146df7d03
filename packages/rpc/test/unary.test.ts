import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { openChannel } from '../src/channel.ts';
import { serveUnary, type UnaryCall } from '../src/unary.ts';
import { ECHO, Heard, type Note, serve } from './support.ts';

const answering = (handle: (note: Note, call: UnaryCall) => Promise<Note>) => serve([serveUnary(ECHO, handle)]);

test('a call is answered, and sees its headers and what is left of its time', async () => {
  const calls = new Heard<UnaryCall>();
  await using server = await answering(async ({ n }, call) => {
    calls.hear(call);
    return { n: n + 1 };
  });
  using channel = openChannel(`127.0.0.1:${server.port}`, { trafficClass: 'vip' });
  const answer = await channel.unary(ECHO, { n: 1 }, { timeoutMs: 60_000, headers: { 'spillway-class': 'vip' } });
  assert.deepEqual(answer, { n: 2 });
  const call = await calls.next();
  assert.equal(call.header('spillway-class'), 'vip');
  assert.equal(call.header('not-there'), undefined);
  assert.match(call.header('user-agent') ?? '', /^spillway-vip /);
  assert.ok(call.remainingMs !== undefined && call.remainingMs > 30_000 && call.remainingMs <= 60_000);
});

test('what a handler throws comes out typed, with knob and hint; a bug tells nothing', async () => {
  await using server = await answering(async ({ n }) => {
    if (n === 1) throw new SpillwayError('OVERLOADED', 'too much', { reason: 'knob', retryAfterMs: 40 });
    throw new Error('secret');
  });
  using channel = openChannel(`127.0.0.1:${server.port}`);
  const call = (n: number) => channel.unary(ECHO, { n }, { timeoutMs: 60_000 });
  await assert.rejects(call(1), { code: 'OVERLOADED', message: 'too much', reason: 'knob', retryAfterMs: 40 });
  await assert.rejects(
    call(2),
    (error: SpillwayError) => error.code === 'INTERNAL' && !error.message.includes('secret'),
  );
});

test('the backstop ends a call that nobody answers, and its handler learns it', async () => {
  const cancelled = new Heard<void>();
  let reached = false;
  await using server = await answering((_note, call) => {
    reached = true;
    call.onCancel(() => cancelled.hear());
    return new Promise(() => undefined);
  });
  using channel = openChannel(`127.0.0.1:${server.port}`);
  // On a busy machine a call may be over before it has reached its handler: the next one has twice the time.
  for (let timeoutMs = 30; !reached; timeoutMs *= 2) {
    await assert.rejects(channel.unary(ECHO, { n: 1 }, { timeoutMs }), { code: 'DEADLINE_EXCEEDED' });
  }
  await cancelled.next();
});

test('nobody at the address is UNAVAILABLE, without the address', async () => {
  const server = await answering(async (note) => note);
  await server[Symbol.asyncDispose]();
  using channel = openChannel(`127.0.0.1:${server.port}`);
  const isAway = (error: SpillwayError) => error.code === 'UNAVAILABLE' && !error.message.includes('127.0.0.1');
  await assert.rejects(channel.unary(ECHO, { n: 1 }, { timeoutMs: 60_000 }), isAway);
});

test('a request above the limit of its server is refused, and the next one is served', async () => {
  await using server = await answering(async (note) => ({ n: note.n }));
  using channel = openChannel(`127.0.0.1:${server.port}`);
  const text = 'x'.repeat(16 * 1024 * 1024 - 100);
  assert.deepEqual(await channel.unary(ECHO, { n: 1, text }, { timeoutMs: 60_000 }), { n: 1 });
  const tooLong = channel.unary(ECHO, { n: 2, text: `${text}${text}` }, { timeoutMs: 60_000 });
  await assert.rejects(tooLong, { code: 'PAYLOAD_TOO_LARGE' });
  assert.deepEqual(await channel.unary(ECHO, { n: 3 }, { timeoutMs: 60_000 }), { n: 3 });
});

test('two channels to one address are two connections', async () => {
  const peers = new Set<string>();
  await using server = await answering(async (note, call) => {
    peers.add(call.peer);
    return note;
  });
  using one = openChannel(`127.0.0.1:${server.port}`);
  using two = openChannel(`127.0.0.1:${server.port}`);
  for (const channel of [one, two, one, two]) await channel.unary(ECHO, { n: 1 }, { timeoutMs: 60_000 });
  assert.equal(peers.size, 2);
});
