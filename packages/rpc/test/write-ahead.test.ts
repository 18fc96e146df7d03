import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerInterceptor } from '@grpc/grpc-js';
import { AHEAD_BYTES, writeAhead } from '../src/write-ahead.ts';

type Intercepted = Parameters<ServerInterceptor>[1];
type Definition = Parameters<ServerInterceptor>[0];

/** A call whose messages leave when `left` says so. */
function played(responseStream: boolean) {
  const leaving: (() => void)[] = [];
  const sent: unknown[] = [];
  let asked = 0;
  const call = {
    sendMessage: (message: unknown, done: () => void) => {
      sent.push(message);
      leaving.push(done);
    },
  } as unknown as Intercepted;
  writeAhead({ responseStream } as Definition, call);
  return {
    sent,
    send: (message: unknown) =>
      call.sendMessage(message, () => {
        asked += 1;
      }),
    left: () => leaving.shift()?.(),
    /** How often the next message was asked for. */
    asked: () => asked,
  };
}

test('the next answer of a stream is asked for before the last has left, in order and up to a bound', () => {
  const { send, sent, left, asked } = played(true);
  const quarter = Buffer.alloc(AHEAD_BYTES / 4);
  for (let n = 0; n < 3; n += 1) send(quarter);
  assert.deepEqual([sent.length, asked()], [3, 3]);
  send(quarter);
  assert.deepEqual([sent.length, asked()], [4, 3], 'the fourth reaches the bound: it is handed over and waited for');
  for (const wanted of [3, 3, 3, 4]) {
    left();
    assert.equal(asked(), wanted);
  }
  send(quarter);
  assert.equal(asked(), 5, 'there is room again');
});

test('a message whose size is not known, and the only answer of a call, wait for the socket', () => {
  for (const [streams, message] of [
    [true, { status: 1 }],
    [false, Buffer.alloc(1)],
  ] as const) {
    const { send, left, asked } = played(streams);
    send(message);
    assert.equal(asked(), 0);
    left();
    assert.equal(asked(), 1);
  }
});
