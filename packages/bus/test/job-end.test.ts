import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answerMessage, deadJob, errorMessage } from '@spillway/contracts/job-messages';
import type { Job } from '@spillway/contracts/messages';
import { DLQ_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { ALL_DEAD_LETTERS, dlqSubject, resultSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import type { Bus } from '../src/bus.ts';
import { connectBus } from '../src/connect.ts';
import { bury, storeResult } from '../src/job-end.ts';
import { deleteMessage, readMessage } from '../src/stream-messages.ts';

let nats: TestServer;
let bus: Bus;
before(async () => {
  nats = await startNatsServer();
  bus = await connectBus({ url: nats.url, service: 'gateway', instance: 'gateway-1' });
});
after(async () => {
  await bus.drain();
  await nats.stop();
});

const made = { model: 'mlp', madeAtMs: 0 };
const jobOf = (job: string, over: Partial<Job> = {}): Job => ({
  ...{ tenant: 'acme', job, ackSubject: '', originSubject: 'from', traceparent: '' },
  ...over,
});
const answer = (job: Job, text = '{"outputs":[]}') => answerMessage(job, made, Buffer.from(text), {});
const error = new SpillwayError('BACKEND_FAILED', 'it broke');
const stored = async (job: string) => {
  const found = await readMessage(bus, RESULTS_STREAM, { last: resultSubject('acme', job) });
  return found && String(found.payload);
};

test('the first result of a job stays, also when the server does not take the second for a repetition', async () => {
  assert.deepEqual(await storeResult(bus, answer(jobOf('one'))), { first: true, failed: false });
  assert.deepEqual(await storeResult(bus, errorMessage(jobOf('one'), made, error)), { first: false, failed: false });
  const replayed = errorMessage(jobOf('one', { replay: 4 }), made, error);
  assert.deepEqual(await storeResult(bus, replayed), { first: false, failed: false });
  assert.equal(await stored('one'), '{"outputs":[]}');
  await storeResult(bus, errorMessage(jobOf('two'), made, error));
  assert.deepEqual(await storeResult(bus, answer(jobOf('two'))), { first: false, failed: true });
});

test('after the error was taken away a replay has a result of its own at once', async () => {
  await storeResult(bus, errorMessage(jobOf('three'), made, error));
  const found = await readMessage(bus, RESULTS_STREAM, { last: resultSubject('acme', 'three') });
  assert.equal(await deleteMessage(bus, RESULTS_STREAM, found?.seq ?? 0), true);
  assert.equal(await deleteMessage(bus, RESULTS_STREAM, found?.seq ?? 0), false, 'it is gone');
  assert.deepEqual(await storeResult(bus, answer(jobOf('three', { replay: 7 }))), { first: true, failed: false });
});

test('what is published once more is what is stored, whoever asks', async () => {
  const got: string[] = [];
  const two = Promise.withResolvers<void>();
  const replyTo = '_INBOX.a.b';
  bus.subscribe(replyTo, ({ payload }) => {
    if (got.push(Buffer.from(payload).toString()) === 2) two.resolve();
  });
  await storeResult(bus, answer(jobOf('four', { replyTo }), '{"first":1}'));
  await storeResult(bus, answer(jobOf('four', { replyTo }), '{"second":1}'));
  await two.promise;
  assert.deepEqual(got, ['{"first":1}', '{"first":1}']);
});

test('a dead letter is kept once, and found by its place', async () => {
  const letter = deadJob(jobOf('five'), error, Buffer.from('frame'), 5);
  await bury(bus, letter);
  await bury(bus, letter);
  const first = await readMessage(bus, DLQ_STREAM, { next: ALL_DEAD_LETTERS, seq: 1 });
  assert.deepEqual([first?.subject, String(first?.payload)], [dlqSubject('BACKEND_FAILED'), 'frame']);
  assert.equal(first?.headers['spillway-job'], 'five');
  assert.ok(Math.abs((first?.timeMs ?? 0) - Date.now()) < 600_000);
  assert.equal(await readMessage(bus, DLQ_STREAM, { next: ALL_DEAD_LETTERS, seq: (first?.seq ?? 0) + 1 }), undefined);
  assert.equal(await readMessage(bus, DLQ_STREAM, { seq: 99 }), undefined);
});
