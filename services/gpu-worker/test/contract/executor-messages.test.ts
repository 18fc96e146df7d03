import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Batch, batcherMessageCodec } from '@spillway/contracts/messages';
import { meshRoot } from '@spillway/contracts/protos';
import { batcherMessageHeadCodec, batchResultCodec, runMessageCodec } from '../../src/core/executor-messages.ts';

const BATCH: Batch = {
  batchId: 'b1',
  model: 'm',
  version: '3',
  variant: 'v',
  closedBy: 'size',
  rows: 2,
  replyTo: ['inbox.a', 'inbox.b'],
  items: [
    {
      seq: 7,
      requestId: 'r7',
      replyTo: 1,
      rows: 2,
      budgetMs: 12.5,
      queueMs: 0.5,
      traceparent: '00-1-2-01',
      tensors: Uint8Array.of(1, 2, 3),
      tenant: 't',
      job: { tenant: 't', job: 'j', ackSubject: 'a', originSubject: 'o', traceparent: '' },
    },
  ],
  traceparent: '00-3-4-01',
  trafficClass: 'vip',
};
const MESSAGE = batcherMessageCodec.encode({ batch: BATCH });

test('the head of a batch is read without its requests', () => {
  const { batch, drain } = batcherMessageHeadCodec.decode(MESSAGE);
  assert.equal(drain ?? undefined, undefined);
  const { batchId, model, version, closedBy, rows, traceparent, trafficClass } = batch!;
  const expected = {
    batchId: 'b1',
    model: 'm',
    version: '3',
    closedBy: 'size',
    rows: 2,
    traceparent: '00-3-4-01',
    trafficClass: 'vip',
  };
  assert.deepEqual({ batchId, model, version, closedBy, rows, traceparent, trafficClass }, expected);
  assert.ok(batcherMessageHeadCodec.decode(batcherMessageCodec.encode({ drain: {} })).drain);
});

test('the executor reads from the same bytes what it needs of each request', () => {
  const { batch } = runMessageCodec.decode(MESSAGE);
  const [item] = batch!.items;
  assert.deepEqual([batch!.variant, batch!.replyTo], ['v', ['inbox.a', 'inbox.b']]);
  const { seq, replyTo, rows, budgetMs, queueMs } = item!;
  assert.deepEqual(
    { seq, replyTo, rows, budgetMs, queueMs },
    { seq: 7, replyTo: 1, rows: 2, budgetMs: 12.5, queueMs: 0.5 },
  );
  assert.deepEqual([...item!.tensors], [1, 2, 3]);
  assert.equal(item!.job?.ackSubject, 'a');
});

test('every field that is read this way has the number, name and type it has in the mesh’s contract', () => {
  const pairs = [
    ['BatcherMessageHead', 'BatcherMessage'],
    ['BatchHead', 'Batch'],
    ['RunMessage', 'BatcherMessage'],
    ['RunBatch', 'Batch'],
    ['RunItem', 'BatchItem'],
  ];
  const standsFor = new Map([
    ['BatchHead', 'Batch'],
    ['RunBatch', 'Batch'],
    ['RunItem', 'BatchItem'],
    ['DrainHead', 'Drain'],
  ]);
  for (const [own, contract] of pairs) {
    const fields = meshRoot.lookupType(`spillway.v1.${contract}`).fields;
    for (const { name, id, type, repeated } of meshRoot.lookupType(`spillway.v1.${own}`).fieldsArray) {
      const there = fields[name];
      assert.deepEqual(
        [id, standsFor.get(type) ?? type, repeated],
        [there?.id, there?.type, there?.repeated],
        `${own}.${name}`,
      );
    }
  }
});

test('a result keeps frames byte for byte', () => {
  const result = {
    batchId: 'b',
    runMs: 1.5,
    runs: 1,
    failed: 0,
    replies: [{ subject: 's', frame: Uint8Array.of(9, 8) }],
    jobs: [],
    fault: '',
  };
  const decoded = batchResultCodec.decode(batchResultCodec.encode(result));
  assert.deepEqual([...decoded.replies[0]!.frame], [9, 8]);
  assert.equal(decoded.runMs, 1.5);
});
