import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ReplyItem, replyFrameCodec } from '@spillway/contracts/messages';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { ReplyPublisher } from '../../src/adapters/reply-publisher.ts';
import { packReplies } from '../../src/core/reply-frames.ts';
import { makeBatch } from '../support/batches.ts';
import { fp32 } from '../support/tensors.ts';

const FACTS = {
  worker: 'w',
  batchId: 'b',
  model: 'm',
  version: '1',
  variant: '',
  batchRows: 1,
  runMs: 1,
  closedBy: 'size',
};
const answer = (bytes: number): ReplyItem => ({
  seq: 7,
  errorCode: '',
  errorMessage: '',
  errorReason: '',
  tensors: new Uint8Array(bytes),
  queueMs: 2,
});

/** What was sent, and how many frames were reported lost. */
function publisher(send: () => boolean = () => true, maxPayload = 1 << 20) {
  const sent: { subject: string; items: ReplyItem[] }[] = [];
  const clock = new ManualClock();
  let comeUp: () => void = () => undefined;
  let lost = 0;
  const bus = {
    maxPayload,
    publish: (subject: string, payload: Uint8Array) => {
      const isSent = send();
      if (isSent) sent.push({ subject, items: replyFrameCodec.decode(payload).items });
      return isSent;
    },
    onUp: (listener: () => void) => {
      comeUp = listener;
      return () => undefined;
    },
  };
  const target = new ReplyPublisher(bus, clock, (frames) => {
    lost += frames;
  });
  return { target, sent, clock, lost: () => lost, comeUp: () => comeUp() };
}

const framesTo = (...inboxes: string[]) =>
  packReplies(
    FACTS,
    inboxes,
    inboxes.map((_, replyTo) => ({ replyTo, item: answer(1) })),
  );

test('an answer that the server would refuse becomes an error that names the limit', () => {
  const { target, sent } = publisher(() => true, 10_000);
  target.publish(packReplies(FACTS, ['inbox'], [{ replyTo: 0, item: answer(20_000) }]));
  const [item] = sent[0]!.items;
  assert.deepEqual(
    [item?.seq, item?.errorCode, item?.errorReason, item?.tensors.length],
    [7, 'PAYLOAD_TOO_LARGE', 'max_payload', 0],
  );
});

test('frames that find the bus away wait for its return, each is sent once, and none that is too old', () => {
  let isUp = false;
  const { target, sent, clock, lost, comeUp } = publisher(() => isUp);
  target.publish(framesTo('old'));
  clock.advance(4_000);
  target.publish(framesTo('a', 'b'));
  clock.advance(2_000);
  isUp = true;
  comeUp();
  comeUp();
  assert.deepEqual(
    sent.map(({ subject }) => subject),
    ['a', 'b'],
  );
  assert.equal(lost(), 1);
});

test('what waits is bounded: the oldest give way, and are counted', () => {
  let isUp = false;
  const { target, sent, lost, comeUp } = publisher(() => isUp);
  const mebibyte = (subject: string) => ({
    subject,
    frame: replyFrameCodec.encode({ ...FACTS, items: [answer(1 << 20)] }),
  });
  for (let n = 1; n <= 20; n += 1) target.publish([mebibyte(`${n}`)]);
  isUp = true;
  comeUp();
  assert.equal(lost(), 5);
  assert.deepEqual([sent.length, sent[0]?.subject, sent.at(-1)?.subject], [15, '6', '20']);
});

test('frames that find the bus closing are counted as lost, and nothing breaks', () => {
  const closing = publisher(() => {
    throw new Error('CONNECTION_DRAINING');
  });
  closing.target.publish(framesTo('a', 'b'));
  assert.equal(closing.lost(), 2);
});

test('a batch that failed as a whole: every request is told, every job gets a result', () => {
  const { target, sent } = publisher();
  const batch = makeBatch(
    'm',
    [1, 2, 3].map((value) => [fp32('x', [1, 1], [value])]),
    { replyTo: ['a', 'b'] },
  );
  batch.items[1]!.replyTo = 1;
  batch.items[2]!.job = { tenant: 't', job: 'j', ackSubject: 'ack', originSubject: '', traceparent: '' };
  const jobs = target.fail(batch, 'w', new SpillwayError('BACKEND_FAILED', 'it hung', { reason: 'run_limit' }));
  assert.deepEqual(
    sent.map(({ subject, items }) => [
      subject,
      items.map(({ seq, errorCode, errorReason }) => `${seq} ${errorCode} ${errorReason}`),
    ]),
    [
      ['a', ['1 BACKEND_FAILED run_limit']],
      ['b', ['2 BACKEND_FAILED run_limit']],
    ],
  );
  assert.deepEqual(
    jobs.map(({ job, errorCode }) => [job.job, errorCode]),
    [['j', 'BACKEND_FAILED']],
  );
});
