import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batcherMessageCodec } from '@spillway/contracts/messages';
import { assembleBatch } from '../../src/core/assemble-batch.ts';
import { Bench, item, TestMessage } from './fixtures.ts';

test('the message has the rest of each budget, the wait, and the inbox of each gateway once', () => {
  const bench = new Bench();
  bench.worker('w', 1, { maxBatchSize: 8 });
  bench.frame([item(1, { budgetMs: 100 }), item(2, { budgetMs: 200, rows: 2 })], { gateway: 'g1' });
  bench.clock.advance(10);
  bench.frame([item(1, { budgetMs: 300 })], { gateway: 'g2' });
  const { dispatch } = bench.dispatcher.next('m');
  assert.ok(dispatch);
  const sent = assembleBatch(dispatch, bench.clock.now(), '');
  const { batch } = batcherMessageCodec.decode(batcherMessageCodec.encode({ batch: sent }));
  assert.ok(batch);
  assert.deepEqual([...batch.replyTo], ['inbox.g1', 'inbox.g2']);
  assert.equal(batch.rows, 4);
  assert.equal(batch.version, '1');
  assert.deepEqual(
    batch.items.map(({ seq, replyTo, rows, budgetMs, queueMs }) => [seq, replyTo, rows, budgetMs, queueMs]),
    [
      [1, 0, 1, 90, 10],
      [2, 0, 2, 190, 10],
      [1, 1, 1, 300, 0],
    ],
  );
});

test('tensors travel as the bytes they are', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  const tensors = new Uint8Array([1, 2, 3]);
  bench.frame([item(1, { tensors })]);
  const { dispatch } = bench.dispatcher.next('m');
  assert.ok(dispatch);
  assert.equal(assembleBatch(dispatch, bench.clock.now(), '').items[0]?.tensors, tensors);
});

test('a job says where it is to be acknowledged, and has time to run', () => {
  const bench = new Bench();
  bench.worker('w', 1);
  const job = { tenant: 't', job: 'j', ackSubject: '', originSubject: 'o', traceparent: '' };
  bench.frame([item(1, { job, budgetMs: 0 })], { durable: true, message: new TestMessage(1, '$JS.ACK.x') });
  const { dispatch } = bench.dispatcher.next('m');
  assert.ok(dispatch);
  const [sent] = assembleBatch(dispatch, bench.clock.now(), '').items;
  assert.deepEqual(sent?.job, { ...job, ackSubject: '$JS.ACK.x' });
  assert.ok((sent?.budgetMs ?? 0) > 60_000);
});
