import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { type PulledMessage, PullSource } from '@spillway/bus/pull';
import { type Job, type WorkFrame, workFrameCodec } from '@spillway/contracts/messages';
import { DLQ_STREAM, JOBS_STREAM, jobsConsumer, RESULTS_STREAM } from '@spillway/contracts/streams';
import { dlqSubject, jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { until } from '@spillway/testing/until';
import { StuckJobs } from '../../src/adapters/stuck-jobs.ts';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayAt, startGatewayUnderTest } from './gateway-under-test.ts';
import { lastOf, messagesIn, type Stored } from './jetstream-peek.ts';

const spec = { ...jobsConsumer('bulk', 'mlp', 1_000), ackWaitMs: 50, maxDeliver: 2 };
const job: Job = {
  tenant: 'acme',
  job: 'poison',
  ackSubject: '',
  originSubject: 'from',
  originSeq: 3,
  traceparent: '',
};

const publish = (bus: Bus) => {
  const item = {
    seq: 1,
    requestId: 'r',
    budgetMs: 0,
    rows: 1,
    cost: 1,
    route: 0,
    traceparent: '',
    tenant: 'acme',
    job,
  };
  const items = [{ ...item, tensors: new Uint8Array(4) }];
  const frame: WorkFrame = {
    gateway: 'g',
    replyTo: '',
    sentMs: 0,
    model: 'mlp',
    trafficClass: 'bulk',
    routes: [],
    items,
  };
  return bus.publishToStream(jobsSubject('bulk', 'mlp'), workFrameCodec.encode(frame));
};

/** Plays batchers that die with every message they get, until the server delivers no more. */
async function die(bus: Bus, ends: () => Promise<boolean>): Promise<number> {
  const deliveries: PulledMessage[] = [];
  const take = (message: PulledMessage): void => {
    deliveries.push(message);
    source.request(1);
  };
  const source: PullSource = new PullSource(bus, spec, take, () => source.request(1));
  source.start();
  try {
    await until('it is given up', ends);
  } finally {
    await source.stop();
  }
  return deliveries.length;
}

async function assertBuried(mesh: GatewayUnderTest): Promise<void> {
  const result = (await lastOf(mesh.bus, RESULTS_STREAM, resultSubject('acme', 'poison'))) as Stored;
  const { code, reason } = JSON.parse(String(result.payload)).error;
  assert.deepEqual([code, reason], ['BACKEND_FAILED', 'max_deliveries']);
  const dead = (await lastOf(mesh.bus, DLQ_STREAM, dlqSubject('BACKEND_FAILED'))) as Stored;
  assert.deepEqual(
    ['spillway-letter', 'spillway-job', 'spillway-origin-subject', 'spillway-origin-seq'].map(
      (name) => dead.headers[name],
    ),
    ['job', 'poison', 'from', '3'],
  );
  assert.equal(workFrameCodec.decode(dead.payload).items[0]?.job?.job, 'poison', 'it can be replayed');
  assert.equal(await messagesIn(mesh.bus, JOBS_STREAM), 0);
  assert.equal(await messagesIn(mesh.bus, DLQ_STREAM), 1);
}

test('a job whose last delivery died ends as an error and a dead letter, once, however many gateways there are', async () => {
  await using mesh = await startGatewayUnderTest({ models: [mlp] });
  await using second = await startGatewayAt(mesh.nats.url);
  assert.ok(second.ports.http > 0);
  await publish(mesh.bus);
  const deliveries = await die(mesh.bus, async () => (await messagesIn(mesh.bus, JOBS_STREAM)) === 0);
  assert.equal(deliveries, 2);
  await assertBuried(mesh);
});

test('what died while no gateway ran is found when one starts', async () => {
  await using mesh = await startGatewayUnderTest({ models: [mlp] });
  await mesh.gateway[Symbol.asyncDispose]();
  const advised = Promise.withResolvers<void>();
  mesh.bus.subscribe('$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>', () => advised.resolve());
  await publish(mesh.bus);
  let given = false;
  void advised.promise.then(() => {
    given = true;
  });
  await die(mesh.bus, async () => given);
  assert.equal(await messagesIn(mesh.bus, JOBS_STREAM), 1);
  await using later = await startGatewayAt(mesh.nats.url);
  assert.ok(later.ports.http > 0);
  await until('it is ended', async () => (await messagesIn(mesh.bus, JOBS_STREAM)) === 0);
  await assertBuried(mesh);
});

test('what waits, runs or was handed back with a delay is left alone by a sweep, whatever else is stuck', async () => {
  await using mesh = await startGatewayUnderTest({ models: [mlp] });
  await mesh.gateway[Symbol.asyncDispose]();
  const faults: unknown[] = [];
  using stuck = new StuckJobs({
    bus: mesh.bus,
    epochMs: Date.now,
    onEnded: () => undefined,
    onFault: (error) => faults.push(error),
  });
  const slow = { ...jobsConsumer('bulk', 'mlp', 60_000), maxDeliver: 1 };
  const held: PulledMessage[] = [];
  const source: PullSource = new PullSource(
    mesh.bus,
    slow,
    (message) => held.push(message),
    () => source.request(1),
  );
  await using pulling = { [Symbol.asyncDispose]: () => source.stop() }; // a failure must not keep the process alive
  assert.ok(pulling);
  source.start();
  const swept = async () => {
    await stuck.sweep();
    return messagesIn(mesh.bus, JOBS_STREAM);
  };
  for (let count = 1; count <= 3; count += 1) {
    await publish(mesh.bus);
    source.request(1);
    await until('it is delivered', () => held.length === count);
  }
  assert.equal(await swept(), 3, 'all run');
  held[0]?.nak(60_000);
  held[1]?.ack();
  await until('the middle one is acknowledged', async () => (await messagesIn(mesh.bus, JOBS_STREAM)) === 2);
  assert.equal(await swept(), 2, 'one is delayed, one runs');
  await publish(mesh.bus);
  assert.equal(await swept(), 3, 'one waits');
  assert.deepEqual(faults, []);
});
