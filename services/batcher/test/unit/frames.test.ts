import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { HeldFrames } from '../../src/core/frames.ts';
import { TestMessage } from './fixtures.ts';

const hold = (frames: HeldFrames, requests: number, fields: { durable?: boolean; message?: TestMessage } = {}) => {
  const message = fields.message ?? new TestMessage();
  const frame = frames.hold({
    message,
    gateway: 'g',
    replyTo: 'inbox',
    durable: fields.durable ?? false,
    ackWaitMs: 300,
    maxDeliver: 3,
    requests,
  });
  return { message, frame };
};

test('a frame is acknowledged once, when its last request was dispatched or ended', () => {
  const frames = new HeldFrames(new ManualClock());
  const { message, frame } = hold(frames, 3);
  frames.settled(frame);
  frames.settled(frame);
  assert.deepEqual(message.said, []);
  frames.settled(frame);
  assert.deepEqual(message.said, ['ack']);
  assert.equal(frames.size, 0);
});

test('ending a request twice is a bug and says so', () => {
  const frames = new HeldFrames(new ManualClock());
  const { frame } = hold(frames, 1);
  frames.settled(frame);
  assert.throws(() => frames.settled(frame), /bug/);
});

test('a frame that was handed back is not acknowledged afterwards', () => {
  const frames = new HeldFrames(new ManualClock());
  const { message, frame } = hold(frames, 2);
  frames.settled(frame);
  frames.handBack(frame);
  frames.handBack(frame);
  frames.settled(frame);
  assert.deepEqual(message.said, ['nak']);
});

test('a frame that is held long is extended in time, and no more after it was given up', () => {
  const clock = new ManualClock();
  const frames = new HeldFrames(clock);
  const { message, frame } = hold(frames, 1);
  frames.extend();
  clock.advance(99);
  frames.extend();
  assert.deepEqual(message.said, []);
  clock.advance(1);
  frames.extend();
  frames.extend();
  assert.deepEqual(message.said, ['working']);
  frames.settled(frame);
  clock.advance(1_000);
  frames.extend();
  assert.deepEqual(message.said, ['working', 'ack']);
});

test('a job is acknowledged by the worker, and extended here until it is done', () => {
  const clock = new ManualClock();
  const frames = new HeldFrames(clock);
  const { message, frame } = hold(frames, 1, { durable: true });
  frames.settled(frame);
  clock.advance(150);
  frames.extend();
  frames.leave(frame);
  clock.advance(150);
  frames.extend();
  assert.deepEqual(message.said, ['working']);
});

test('the last delivery is known as such', () => {
  const frames = new HeldFrames(new ManualClock());
  assert.equal(hold(frames, 1, { message: new TestMessage(2) }).frame.lastDelivery, false);
  assert.equal(hold(frames, 1, { message: new TestMessage(3) }).frame.lastDelivery, true);
});
