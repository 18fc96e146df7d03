import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { bury, storeResult } from '@spillway/bus/job-end';
import { run as dlq } from '@spillway/cli/commands/dlq';
import type { Context } from '@spillway/cli/context';
import { type DeadLetter, deadJob, errorMessage } from '@spillway/contracts/job-messages';
import { type Job, workFrameCodec } from '@spillway/contracts/messages';
import { eventsSubject, jobsSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Mesh } from '@spillway/testing/mesh';
import { casesOf, differenceOf, type OipTensor, oipRequest } from '../support/cases.ts';
import { connectPublisher } from '../support/events.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';

const wanted = casesOf('mlp')[0]!;
const payload = Buffer.from(JSON.stringify(oipRequest(wanted)));
const error = new SpillwayError('BACKEND_FAILED', 'it broke', { reason: 'run_failed' });

let mesh: Mesh;
let bus: Bus;
before(async () => {
  mesh = await startSeededMesh({ serves: ['mlp'] });
  bus = await connectBus({ url: mesh.nats.url, service: 'batcher', instance: 'test' });
});
after(async () => {
  await bus?.drain();
  await mesh?.[Symbol.asyncDispose]();
});

type Publisher = Awaited<ReturnType<typeof connectPublisher>>;

/** As a mesh leaves it that was ill when this was asked. */
async function fail({ results, until }: Publisher, job: Job, letter: DeadLetter): Promise<void> {
  const { length } = results;
  await storeResult(bus, errorMessage(job, { model: 'mlp', madeAtMs: Date.now() }, error));
  await until(() => results.length === length + 1); // before a replay takes it away
  await bury(bus, letter);
}

async function replayAll(): Promise<void> {
  const nothing = (): undefined => undefined;
  const context = { env: { NATS_URL: mesh.nats.url }, dataDir: '', print: nothing, say: nothing };
  assert.equal(await dlq(context as unknown as Context, ['replay', '--all']), 0);
}

test('a replayed event has an answer where its error was, at once', async () => {
  await using publisher = await connectPublisher(mesh.nats.url, 'revived');
  const originSubject = eventsSubject('revived', 'mlp');
  const job: Job = { tenant: 'revived', job: 'event-1', ackSubject: '', originSubject, traceparent: '' };
  await fail(publisher, job, {
    ...deadJob(job, error, payload, 1),
    form: 'event',
    headers: { 'spillway-class': 'bulk' },
  });
  await replayAll();
  await publisher.until(() => publisher.results.length === 2);
  const [, answer] = publisher.results;
  assert.equal(publisher.jobOf(answer!), 'event-1');
  assert.equal(answer?.header('spillway-class'), 'bulk');
  assert.equal(differenceOf(wanted, answer?.body['outputs'] as OipTensor[]), undefined);
});

test('a replayed job runs from its own frame', async () => {
  await using publisher = await connectPublisher(mesh.nats.url, 'again');
  const frames: Uint8Array[] = [];
  const listening = bus.subscribe(jobsSubject('standard', 'mlp'), (message) => frames.push(message.payload));
  await publisher.publish('mlp', payload, { 'spillway-job': 'first' });
  await publisher.until(() => publisher.results.length === 1);
  listening.stop();
  const frame = workFrameCodec.decode(frames[0]!);
  const job = frame.items[0]?.job as Job;
  job.job = 'second';
  await fail(publisher, job, deadJob(job, error, workFrameCodec.encode(frame), 5));
  await replayAll();
  await publisher.until(() => publisher.results.length === 3);
  const answer = publisher.results[2]!;
  assert.equal(publisher.jobOf(answer), 'second');
  assert.equal(differenceOf(wanted, answer.body['outputs'] as OipTensor[]), undefined);
});
