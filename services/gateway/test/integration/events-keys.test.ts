import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { clientOf, connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { readMessage } from '@spillway/bus/stream-messages';
import { type KeyRecord, MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { workFrameCodec } from '@spillway/contracts/messages';
import {
  DLQ_STREAM,
  EVENTS_STREAM,
  JOBS_STREAM,
  RESULTS_STREAM,
  STREAMS,
  type StreamSpec,
} from '@spillway/contracts/streams';
import { dlqSubject, eventsSubject, jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { startNatsServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import type { Gateway } from '../../src/service.ts';
import { mlp } from '../unit/fixtures.ts';
import { patient, startGatewayAt } from './gateway-under-test.ts';
import { lastOf, messagesIn } from './jetstream-peek.ts';
import { putKey, revoke, type TestKey } from './test-key.ts';

let bus: Bus;
let gateway: Gateway;
const cleanUp = new AsyncDisposableStack();

before(async () => {
  const nats = cleanUp.use(await startNatsServer());
  bus = cleanUp.use(await connectBus({ url: nats.url, service: 'cache', instance: 'test' }));
  await openBucket<ModelRecord>(bus, MODELS).put(mlp.model, patient(mlp));
  gateway = cleanUp.use(await startGatewayAt(nats.url, { GATEWAY_ALLOW_ANONYMOUS: 'false' }));
});
after(() => cleanUp.disposeAsync());

/** Whether calls with this key are let in: then its tenant may publish too. */
const isKnown = async ({ headers }: TestKey): Promise<boolean> => {
  const { status } = await fetch(`http://127.0.0.1:${gateway.ports.http}/v2/models/mlp`, { headers });
  return status !== 401;
};

const payload = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
const bytes = Buffer.from(JSON.stringify(payload));

const delayedOf = async (reason: string): Promise<number> => {
  const metrics = await (await fetch(`http://127.0.0.1:${gateway.ports.metrics}/metrics`)).text();
  return Number(new RegExp(`spillway_events_delayed_total{[^}]*"${reason}"[^}]*} (\\d+)`).exec(metrics)?.[1] ?? 0);
};

/** @returns The class of the job that the event became, or code and reason of its error result. */
async function publish(tenant: string): Promise<string> {
  const { seq } = await bus.publishToStream(eventsSubject(tenant, 'mlp'), bytes);
  await until('the event is settled', async () => (await readMessage(bus, EVENTS_STREAM, { seq })) === undefined);
  const result = await lastOf(bus, RESULTS_STREAM, resultSubject(tenant, `e-${seq}`));
  if (result !== undefined) {
    const { error } = JSON.parse(String(result.payload)) as { error: { code: string; reason: string } };
    return `${error.code} ${error.reason}`;
  }
  for (const trafficClass of ['vip', 'standard', 'bulk'] as const) {
    const job = await lastOf(bus, JOBS_STREAM, jobsSubject(trafficClass, 'mlp'));
    if (job?.headers['Nats-Msg-Id'] === `${tenant}.e-${seq}`) return workFrameCodec.decode(job.payload).trafficClass;
  }
  return 'nothing';
}

test("events are of the class of their tenant's highest key", async () => {
  const bulk = await putKey(bus, 'bulk', { tenant: 'shop', class: 'bulk' });
  await until('the key is known', () => isKnown(bulk));
  assert.equal(await publish('shop'), 'bulk');
  const vip = await putKey(bus, 'vip', { tenant: 'shop', class: 'vip' });
  await until('the key is known', () => isKnown(vip));
  assert.equal(await publish('shop'), 'vip');
});

test('the events of a tenant without a valid key are dead letters', async () => {
  assert.equal(await publish('nobody'), 'UNAUTHENTICATED no_key');
  const dead = await lastOf(bus, DLQ_STREAM, dlqSubject('UNAUTHENTICATED'));
  assert.equal(dead?.headers['spillway-origin-subject'], eventsSubject('nobody', 'mlp'));
});

const jobs = () => messagesIn(bus, JOBS_STREAM);
const events = () => messagesIn(bus, EVENTS_STREAM);
const flood = (tenant: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => bus.publishToStream(eventsSubject(tenant, 'mlp'), bytes)));

test('events beyond a quota wait in their stream, and become jobs as the quota refills', async () => {
  const key = await putKey(bus, 'paced', { tenant: 'paced', quota: { requestsPerSecond: 4 } }); // eight at once
  await until('the key is known', () => isKnown(key));
  const [before, startMs] = [await jobs(), performance.now()];
  await flood('paced', 12);
  await until('some wait', async () => (await delayedOf('quota')) > 0);
  const refilled = () => 4 * ((performance.now() - startMs) / 1_000);
  const [done, most] = [(await jobs()) - before, 8 + refilled() + 1];
  assert.ok(done <= most, `${done} of at most ${most}`);
  await until('all are jobs', async () => (await events()) === 0);
  assert.equal(await jobs(), before + 12);
});

test('a tenant far over its quota does not hold up the events of another one', async () => {
  const far = await putKey(bus, 'far', { tenant: 'far', quota: { requestsPerSecond: 0.001 } });
  const other = await putKey(bus, 'other', { tenant: 'other' });
  await until('the keys are known', () => isKnown(other));
  await until('the keys are known', () => isKnown(far));
  const before = await jobs();
  await flood('far', 1_500);
  await flood('other', 1);
  await until('the other event is a job', async () => {
    const job = await lastOf(bus, JOBS_STREAM, jobsSubject('standard', 'mlp'));
    return workFrameCodec.decode(job?.payload as Uint8Array).items[0]?.tenant === 'other';
  });
  assert.deepEqual([(await jobs()) - before, await events()], [2, 1_499]);
});

test('a publisher too far ahead of its quota is refused by the stream, and others are not', async () => {
  const spec = STREAMS.find(({ name }) => name === EVENTS_STREAM) as StreamSpec;
  await clientOf(bus).applyStream({ ...spec, maxMessagesPerSubject: await events() });
  await assert.rejects(flood('far', 1), { code: 'CONFLICT' }); // its subject holds as many as it may
  await flood('other', 1);
  await clientOf(bus).applyStream(spec);
  await flood('far', 1);
  const manager = await clientOf(bus).manager();
  await manager.streams.purge(EVENTS_STREAM); // what is delayed from here on is another test's
});

test('a key that lowers what is beyond its quota lets its events go on one class lower', async () => {
  const over: Partial<KeyRecord> = { quota: { requestsPerSecond: 0.001 }, overQuota: 'lower' };
  const key = await putKey(bus, 'lowers', { tenant: 'lowers', class: 'standard', ...over });
  await until('the key is known', () => isKnown(key));
  assert.equal(await publish('lowers'), 'standard');
  assert.equal(await publish('lowers'), 'bulk');
});

test('events that wait for a quota end as dead letters when the last key of their tenant is revoked', async () => {
  const key = await putKey(bus, 'leaves', { tenant: 'leaves', quota: { requestsPerSecond: 2 } }); // four at once
  await until('the key is known', () => isKnown(key));
  const before = await delayedOf('quota');
  await flood('leaves', 40); // far more than become jobs before the key is gone
  await until('some wait', async () => (await delayedOf('quota')) > before);
  await revoke(bus, key.record.id);
  const origin = eventsSubject('leaves', 'mlp');
  await until('one that waited is a dead letter', async () => {
    const dead = await lastOf(bus, DLQ_STREAM, dlqSubject('UNAUTHENTICATED'));
    return dead?.headers['spillway-origin-subject'] === origin && Number(dead.headers['spillway-deliveries']) > 1;
  });
});

test('jobs are charged to the quota of their key: beyond it calls are refused', async () => {
  const key = await putKey(bus, 'metered', { tenant: 'metered', quota: { costPerSecond: 0.01 } });
  await until('the key is known', () => isKnown(key));
  const url = `http://127.0.0.1:${gateway.ports.http}`;
  const request = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
  const line = JSON.stringify({ model: 'mlp', ...request });
  const lines = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { ...key.headers, 'content-type': 'application/x-ndjson' },
    body: `${line}\n`,
  });
  assert.match(await lines.text(), /"accepted":1/);
  const refused = await fetch(`${url}/v2/models/mlp/infer`, {
    method: 'POST',
    headers: { ...key.headers, prefer: 'respond-async' },
    body: JSON.stringify(request),
  });
  assert.deepEqual([refused.status, refused.headers.get('spillway-reason')], [429, 'quota']);
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
});
