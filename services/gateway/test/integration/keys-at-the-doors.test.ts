import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { deleteMessage, readMessage } from '@spillway/bus/stream-messages';
import { type KeyRecord, MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { EVENTS_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { eventsSubject, resultSubject } from '@spillway/contracts/subjects';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { startNatsServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import type { Gateway } from '../../src/service.ts';
import { mlp } from '../unit/fixtures.ts';
import { patient, startGatewayAt } from './gateway-under-test.ts';
import { type Failure, type Headers, InferenceClient, type StreamAnswer } from './grpc-client.ts';
import { ask } from './grpc-mesh.ts';
import { lastOf } from './jetstream-peek.ts';
import { PlayedWorker } from './played-worker.ts';
import { putKey, revoke, type TestKey } from './test-key.ts';

const slow = { ...mlp, model: 'slow' };
let bus: Bus;
let gateway: Gateway;
let client: InferenceClient;
const cleanUp = new AsyncDisposableStack();

before(async () => {
  const nats = cleanUp.use(await startNatsServer());
  bus = cleanUp.use(await connectBus({ url: nats.url, service: 'gpu-worker', instance: 'worker-1' }));
  for (const record of [mlp, slow]) await openBucket<ModelRecord>(bus, MODELS).put(record.model, patient(record));
  gateway = cleanUp.use(await startGatewayAt(nats.url, { GATEWAY_ALLOW_ANONYMOUS: 'false' }));
  const y = { name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data: new Uint8Array(4) };
  cleanUp.use(new PlayedWorker(bus, mlp, () => [y]));
  cleanUp.use(new PlayedWorker(bus, slow, () => undefined));
  client = cleanUp.use(new InferenceClient(gateway.ports.grpc));
});
after(() => cleanUp.disposeAsync());

/** What a caller sees: code and reason are empty for an answer, or a job. */
type Seen = { error: string; reason: string; retryAfterMs?: number; fields: Headers };
type Door = (key: TestKey) => Promise<Seen>;

const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];

const seenIn = (fields: Headers): Seen => ({
  error: fields['spillway-error'] ?? '',
  reason: fields['spillway-reason'] ?? '',
  retryAfterMs: Number(fields['retry-after-ms'] ?? 0),
  fields,
});

const http: Door = async ({ headers }) => {
  const url = `http://127.0.0.1:${gateway.ports.http}/v2/models/mlp/infer`;
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ inputs }) });
  await response.arrayBuffer();
  return seenIn(Object.fromEntries(response.headers));
};

const unary: Door = ({ headers }) =>
  client.infer(ask('mlp'), { headers }).then(
    ({ trailers }) => seenIn(trailers),
    ({ trailers }: Failure) => seenIn(trailers),
  );

/** The receipt of a message in a stream has "_" for "-". */
const inMessage = ({ infer_response: { parameters } }: StreamAnswer): Seen =>
  seenIn(
    Object.fromEntries(
      Object.entries(parameters).map(([name, { string_param: text = '' }]) => [name.replaceAll('_', '-'), text]),
    ),
  );

const stream: Door = async ({ headers }) => {
  const opened = client.stream({ headers });
  opened.send(ask('mlp'));
  const first = await Promise.race([opened.received(1), opened.ended]);
  opened.halfClose();
  await opened.ended;
  return Array.isArray(first) ? inMessage(first[0] as StreamAnswer) : seenIn(first?.trailers ?? {});
};

const delayedByQuota = async (): Promise<number> => {
  const metrics = await (await fetch(`http://127.0.0.1:${gateway.ports.metrics}/metrics`)).text();
  return Number(/spillway_events_delayed_total{[^}]*"quota"[^}]*} (\d+)/.exec(metrics)?.[1] ?? 0);
};

/** Here the subject's tenant is who calls. An event beyond a quota is not answered: it stays in its stream and is counted. */
const nats: Door = async ({ record: { tenant } }) => {
  const before = await delayedByQuota();
  const { seq } = await bus.publishToStream(eventsSubject(tenant, 'mlp'), Buffer.from(JSON.stringify({ inputs })));
  const waits = async () => (await readMessage(bus, EVENTS_STREAM, { seq })) !== undefined;
  await until('the event is settled or waits', async () => !(await waits()) || (await delayedByQuota()) > before);
  if (await waits()) {
    await deleteMessage(bus, EVENTS_STREAM, seq); // else its next delays would be taken for those of another event
    return { error: 'QUOTA_EXCEEDED', reason: 'quota', fields: {} };
  }
  const result = await lastOf(bus, RESULTS_STREAM, resultSubject(tenant, `e-${seq}`));
  return seenIn(result?.headers ?? {});
};

const DOORS = { HTTP: http, gRPC: unary, 'a gRPC stream': stream, NATS: nats };
type DoorName = keyof typeof DOORS;

async function untilSeen(door: Door, key: TestKey, error: string): Promise<void> {
  await until(`"${error}" is seen`, async () => (await door(key)).error === error);
}

const QUOTA = { requestsPerSecond: 0.005 }; // one request, then nothing for 200 s

type Row = {
  /** Makes the key, of a tenant of its own, ready to be shown at that door. */
  arrange(id: string, door: Door): Promise<TestKey>;
  /** Code and reason at every door, or where the key itself is shown; there may be another at NATS, where its tenant is. */
  seen: [code: string, reason: string];
  seenAtNats?: [code: string, reason: string];
};

const rotated = async (id: string, door: Door, over: Partial<KeyRecord> = {}) => {
  const old = await putKey(bus, `${id}old`, { tenant: id, ...over });
  await untilSeen(door, old, '');
  const next = await putKey(bus, `${id}new`, { tenant: id, family: `${id}old`, createdAt: 2, ...over });
  await until('the new key is known', async () => (await http(next)).error !== 'UNAUTHENTICATED');
  return { old, next };
};

const MATRIX: Record<string, Row> = {
  'the old key of a rotation, while both count': {
    arrange: async (id, door) => (await rotated(id, door)).old,
    seen: ['', ''],
  },
  'the new key of a rotation': {
    arrange: async (id, door) => (await rotated(id, door)).next,
    seen: ['', ''],
  },
  'the old key of a rotation, when its time is over': {
    arrange: async (id, door) => {
      const { old } = await rotated(id, door);
      await putKey(bus, old.record.id, { ...old.record, expiresAt: Date.now() });
      await untilSeen(http, old, 'UNAUTHENTICATED');
      return old;
    },
    seen: ['UNAUTHENTICATED', 'key_expired'],
    seenAtNats: ['', ''], // its tenant has the new one
  },
  'a key that has expired': {
    arrange: async (id, door) => {
      const key = await putKey(bus, id, { tenant: id });
      await untilSeen(door, key, '');
      await putKey(bus, id, { ...key.record, expiresAt: Date.now() });
      await untilSeen(http, key, 'UNAUTHENTICATED');
      return key;
    },
    seen: ['UNAUTHENTICATED', 'key_expired'],
  },
  'a key that is revoked': {
    arrange: async (id, door) => {
      const key = await putKey(bus, id, { tenant: id });
      await untilSeen(door, key, '');
      await revoke(bus, id);
      await untilSeen(http, key, 'UNAUTHENTICATED');
      return key;
    },
    seen: ['UNAUTHENTICATED', ''],
    seenAtNats: ['UNAUTHENTICATED', 'no_key'],
  },
  'a key that is over its quota': {
    arrange: async (id, door) => {
      const key = await putKey(bus, id, { tenant: id, quota: QUOTA });
      await untilSeen(door, key, '');
      return key;
    },
    seen: ['QUOTA_EXCEEDED', 'quota'],
  },
  'the new key of a rotation whose old one has used up their quota': {
    arrange: async (id) => {
      const old = await putKey(bus, `${id}old`, { tenant: id, quota: QUOTA });
      const next = await putKey(bus, `${id}new`, { tenant: id, quota: QUOTA, family: `${id}old`, createdAt: 2 });
      const free = await putKey(bus, `${id}free`);
      await untilSeen(http, free, ''); // written last, so all are known
      await untilSeen(http, old, '');
      return next;
    },
    seen: ['QUOTA_EXCEEDED', 'quota'],
  },
  'a key without the scope': {
    arrange: async (id) => {
      const key = await putKey(bus, id, { tenant: id, scopes: ['jobs'] });
      await untilSeen(http, key, 'FORBIDDEN');
      return key;
    },
    seen: ['FORBIDDEN', 'scope'],
  },
};

for (const [what, { arrange, seen, seenAtNats = seen }] of Object.entries(MATRIX)) {
  for (const [name, door] of Object.entries(DOORS) as [DoorName, Door][]) {
    const [code, reason] = name === 'NATS' ? seenAtNats : seen;
    test(`${what} at ${name}: ${code || 'served'} ${reason}`.trim(), async () => {
      const id = `k${Object.keys(MATRIX).indexOf(what)}${name.replaceAll(/\W/g, '').toLowerCase()}`;
      const found = await door(await arrange(id, door));
      assert.deepEqual([found.error, found.reason], [code, reason]);
      if (found.retryAfterMs !== undefined && code === 'QUOTA_EXCEEDED') {
        assert.ok(found.retryAfterMs > 1_000, `${found.retryAfterMs}`);
      }
    });
  }
}

for (const [name, door] of [
  ['HTTP', http],
  ['gRPC', unary],
] as const) {
  test(`${name}: answers and refusals of a key with a quota say what is left of it, those of others say nothing`, async () => {
    const quota = { requestsPerSecond: 0.5, costPerSecond: 1_000 };
    const key = await putKey(bus, `limits${name.toLowerCase()}`, { quota });
    const free = await putKey(bus, `free${name.toLowerCase()}`);
    await untilSeen(door, free, '');
    await until('the quota is seen', async () => (await door(key)).error === 'QUOTA_EXCEEDED');
    const { fields } = await door(key);
    const told = Object.entries(fields).filter(([field]) => field.startsWith('x-ratelimit-'));
    assert.deepEqual(
      told.map(([field]) => field.slice('x-ratelimit-'.length)).sort(),
      ['limit', 'remaining', 'reset'].flatMap((what) => [`${what}-cost`, `${what}-requests`]).sort(),
    );
    assert.deepEqual([fields['x-ratelimit-limit-requests'], fields['x-ratelimit-remaining-requests']], ['1', '0']);
    assert.match(fields['x-ratelimit-reset-requests'] ?? '', /^[\d.]+m?s$/);
    const others = Object.keys((await door(free)).fields);
    assert.deepEqual(
      others.filter((field) => field.startsWith('x-ratelimit-')),
      [],
    );
  });
}

test('a stream that waits for answers ends, and they are given up, when its key is revoked', async () => {
  const key = await putKey(bus, 'waiting');
  await untilSeen(http, key, '');
  const opened = client.stream({ headers: key.headers });
  opened.send(ask('mlp'));
  await opened.received(1);
  opened.send(ask('slow'));
  await revoke(bus, key.record.id);
  const failure = await opened.ended;
  assert.deepEqual([failure?.code, failure?.trailers['spillway-error']], [16, 'UNAUTHENTICATED']);
  assert.equal(opened.answers.length, 1);
});

test('a stream whose key gets another class goes on, and its next requests are of that class', async () => {
  const key = await putKey(bus, 'lowered');
  await untilSeen(http, key, '');
  const opened = client.stream({ headers: key.headers });
  await putKey(bus, 'lowered', { class: 'bulk' });
  const classOf = (answer?: StreamAnswer) => answer?.infer_response.parameters['spillway_class']?.string_param;
  await until('the class is bulk', async () => {
    opened.send(ask('mlp'));
    await opened.received(opened.answers.length + 1);
    return classOf(opened.answers.at(-1)) === 'bulk';
  });
  opened.halfClose();
  assert.equal(await opened.ended, undefined);
});
