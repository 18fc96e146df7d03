import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { workFrameCodec } from '@spillway/contracts/messages';
import { DLQ_STREAM, EVENTS_STREAM, JOBS_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { dlqSubject, eventsSubject, jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { startNatsServer } from '@spillway/testing/nats-server';
import type { Gateway } from '../../src/service.ts';
import { mlp } from '../unit/fixtures.ts';
import { startGatewayAt, until } from './gateway-under-test.ts';
import { lastOf, messagesIn } from './jetstream-peek.ts';
import { putKey, revoke, type TestKey } from './test-key.ts';

let bus: Bus;
let gateway: Gateway;
const cleanUp = new AsyncDisposableStack();

before(async () => {
  const nats = cleanUp.use(await startNatsServer());
  bus = cleanUp.use(await connectBus({ url: nats.url, service: 'cache', instance: 'test' }));
  await openBucket<ModelRecord>(bus, MODELS).put(mlp.model, mlp);
  gateway = cleanUp.use(await startGatewayAt(nats.url, { GATEWAY_ALLOW_ANONYMOUS: 'false' }));
});
after(() => cleanUp.disposeAsync());

/** Whether calls with this key are let in: then its tenant may publish too. */
const isKnown = async ({ headers }: TestKey): Promise<boolean> => {
  const { status } = await fetch(`http://127.0.0.1:${gateway.ports.http}/v2/models/mlp`, { headers });
  return status !== 401;
};

/** @returns The class of the job that the event became, or code and reason of its error result. */
async function publish(tenant: string): Promise<string> {
  const payload = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
  const { seq } = await bus.publishToStream(eventsSubject(tenant, 'mlp'), Buffer.from(JSON.stringify(payload)));
  await until('the event is settled', async () => (await messagesIn(bus, EVENTS_STREAM)) === 0);
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

test("events are of the class of their tenant's keys, and those of a tenant whose every key is revoked are refused", async () => {
  const bulk = await putKey(bus, 'bulk', { tenant: 'shop', class: 'bulk' });
  await until('the key is known', () => isKnown(bulk));
  assert.equal(await publish('shop'), 'bulk');
  const vip = await putKey(bus, 'vip', { tenant: 'shop', class: 'vip' });
  await until('the key is known', () => isKnown(vip));
  assert.equal(await publish('shop'), 'vip');
  for (const key of [bulk, vip]) {
    await revoke(bus, key.record.id);
    await until('the key is gone', async () => !(await isKnown(key)));
  }
  assert.equal(await publish('shop'), 'UNAUTHENTICATED no_key');
  const dead = await lastOf(bus, DLQ_STREAM, dlqSubject('UNAUTHENTICATED'));
  assert.equal(dead?.headers['spillway-origin-subject'], eventsSubject('shop', 'mlp'));
});

test('a tenant whose keys have expired, or may only call, publishes nothing', async () => {
  const late = await putKey(bus, 'late', { tenant: 'late', expiresAt: 1_000 });
  const caller = await putKey(bus, 'caller', { tenant: 'caller', scopes: ['infer'] });
  await until('the keys are known', () => isKnown(caller));
  assert.equal(await isKnown(late), false);
  assert.equal(await publish('late'), 'UNAUTHENTICATED key_expired');
  assert.equal(await publish('caller'), 'FORBIDDEN scope');
});

test('a tenant that never had a key publishes nothing where calls need one', async () => {
  assert.equal(await publish('nobody'), 'UNAUTHENTICATED no_key');
});

test('jobs are charged to the quota of their key: beyond it calls are refused, and events go as bulk', async () => {
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
  assert.equal(await publish('metered'), 'bulk');
});
