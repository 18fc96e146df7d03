import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lease } from '@spillway/contracts/buckets';
import { workSubject } from '@spillway/contracts/subjects';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { startNatsServer } from '@spillway/testing/nats-server';
import { connectBus } from '../src/connect.ts';
import { keepLease, watchLeases } from '../src/leases.ts';
import { pause } from './pause.ts';

test('after a pause of this process what has arrived meanwhile counts, before acknowledgements and leases are given up', async () => {
  await using nats = await startNatsServer();
  await using bus = await connectBus({ url: nats.url, service: 'cache', instance: 'cache-test' });
  const clock = new ManualClock();
  const lease: Lease = { service: 'cache', instance: bus.instance, address: '127.0.0.1:1', state: 'ready' };
  await using closing = new AsyncDisposableStack();
  const kept = keepLease(bus, () => lease);
  closing.defer(() => kept.release());
  const watch = watchLeases(bus, 'cache', clock);
  closing.defer(() => watch.stop());
  while (watch.list().length === 0) await new Promise(setImmediate);
  let losses = 0;
  watch.onChange(() => {
    if (watch.list().length === 0) losses += 1;
  });
  // A server that is late itself is no pause of ours: then once more, with twice the time for it.
  const isRead = async (pauseMs: number): Promise<boolean> => {
    losses = 0;
    await nats.kill('SIGSTOP');
    const publishing = bus.publishToStream(workSubject('vip', 'paused'), Buffer.from('x'), { timeoutMs: 100 });
    kept.refresh();
    await delay(20); // the client sends what it was given in a later turn
    await new Promise(setImmediate); // the next that this turn of the loop does is its timers
    void nats.kill('SIGCONT');
    pause(pauseMs);
    clock.advance(60_000);
    const isAcknowledged = await publishing.then(
      () => true,
      () => false,
    );
    return isAcknowledged && losses === 0;
  };
  let pauseMs = 600;
  while (!(await isRead(pauseMs))) {
    pauseMs *= 2;
    assert.ok(pauseMs < 4_000, 'what lay in the socket was not read first');
  }
});
