import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  batcherMessageCodec,
  cacheRequestCodec,
  fetchResponseCodec,
  heartbeatCodec,
  replyFrameCodec,
  tensorsCodec,
  workerMessageCodec,
  workFrameCodec,
} from '../src/messages.ts';
import { meshRoot } from '../src/protos.ts';

/** Bytes of a released message must decode for ever: fields are added, never renumbered. */
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('golden bytes of a work frame still decode', () => {
  const frame = workFrameCodec.decode(
    hex(
      '0a026777 12035f497e 190000000000408f40 22036d6c70 2a03766970 320b 0a0131 1200 1a04783a463b' +
        '3a1e 0807 12027231 1d0000c842 2001 2d0000803f 3000 3a00 4204deadbeef 4a00',
    ),
  );
  assert.deepEqual([frame.gateway, frame.sentMs, frame.model, frame.trafficClass], ['gw', 1_000, 'mlp', 'vip']);
  assert.equal(frame.routes[0]?.shapes, 'x:F;');
  const item = frame.items[0];
  assert.deepEqual([item?.seq, item?.requestId, item?.budgetMs, item?.rows, item?.cost], [7, 'r1', 100, 1, 1]);
  assert.deepEqual([...(item?.tensors ?? [])], [0xde, 0xad, 0xbe, 0xef]);
});

test('absent scalars read as their defaults and absent lists as empty', () => {
  const frame = replyFrameCodec.decode(new Uint8Array());
  assert.deepEqual([frame.worker, frame.runMs, frame.batchRows, frame.items], ['', 0, 0, []]);
});

test('every codec returns what it was given', () => {
  const tensors = {
    tensors: [{ name: 'x', datatype: 11, shape: [1, 2], data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }],
  };
  const back = tensorsCodec.decode(tensorsCodec.encode(tensors)).tensors[0];
  assert.deepEqual([back?.name, back?.datatype, back?.shape], ['x', 11, [1, 2]]);
  const hello = {
    hello: {
      instance: 'w',
      models: [{ model: 'm', versions: ['1'], maxBatchSize: 8, slots: 1, runLimitMs: 10, runMsOne: 1, runMsFull: 2 }],
    },
  };
  assert.equal(workerMessageCodec.decode(workerMessageCodec.encode(hello)).hello?.models[0]?.runMsFull, 2);
  assert.deepEqual(batcherMessageCodec.decode(batcherMessageCodec.encode({ drain: {} })).drain !== null, true);
  assert.equal(
    heartbeatCodec.decode(heartbeatCodec.encode({ service: 's', instance: 'i', sentMs: 1.5, state: 'ready' })).sentMs,
    1.5,
  );
  assert.equal(
    cacheRequestCodec.decode(
      cacheRequestCodec.encode({ gets: [{ id: 3, key: Uint8Array.of(1), traceparent: '' }], puts: [] }),
    ).gets[0]?.id,
    3,
  );
  assert.equal(fetchResponseCodec.decode(fetchResponseCodec.encode({ results: [] })).results.length, 0);
});

test('bytes that are no such message are a typed error', () => {
  assert.throws(() => workFrameCodec.decode(Uint8Array.of(0xff, 0xff, 0xff)), { code: 'INVALID_REQUEST' });
});

test('an unknown field is ignored: a newer sender does not break an older receiver', () => {
  const bytes = Buffer.concat([
    heartbeatCodec.encode({ service: 's', instance: 'i', sentMs: 1, state: '' }),
    hex('fa0602 6869'),
  ]);
  assert.equal(heartbeatCodec.decode(bytes).instance, 'i');
});

test('field numbers of the frames are those that were released', () => {
  const numbers = (name: string) =>
    Object.fromEntries(meshRoot.lookupType(`spillway.v1.${name}`).fieldsArray.map((field) => [field.name, field.id]));
  assert.deepEqual(numbers('Tensor'), { name: 1, datatype: 2, shape: 3, data: 4 });
  assert.deepEqual(numbers('WorkFrame'), {
    gateway: 1,
    replyTo: 2,
    sentMs: 3,
    model: 4,
    trafficClass: 5,
    routes: 6,
    items: 7,
  });
  assert.deepEqual(numbers('ReplyItem'), {
    seq: 1,
    errorCode: 2,
    errorMessage: 3,
    errorReason: 4,
    tensors: 5,
    queueMs: 6,
  });
});
