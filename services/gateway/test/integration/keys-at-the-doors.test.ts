import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectBus } from '@spillway/bus/connect';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayUnderTest, until } from './gateway-under-test.ts';
import { type Failure, type Headers, InferenceClient, type StreamAnswer } from './grpc-client.ts';
import { ask } from './grpc-mesh.ts';
import { PlayedWorker } from './played-worker.ts';
import { putKey, revoke } from './test-key.ts';

const slow = { ...mlp, model: 'slow' };
let mesh: GatewayUnderTest;
let client: InferenceClient;
const cleanUp = new AsyncDisposableStack();

before(async () => {
  mesh = cleanUp.use(await startGatewayUnderTest({ models: [mlp, slow] }));
  const bus = cleanUp.use(await connectBus({ url: mesh.nats.url, service: 'gpu-worker', instance: 'worker-1' }));
  const y = { name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data: new Uint8Array(4) };
  cleanUp.use(new PlayedWorker(bus, mlp, () => [y]));
  cleanUp.use(new PlayedWorker(bus, slow, () => undefined));
  client = cleanUp.use(new InferenceClient(mesh.gateway.ports.grpc));
});
after(() => cleanUp.disposeAsync());

/** What a caller sees: code and reason are empty for an answer. */
type Seen = { error: string; reason: string; retryAfterMs: number; fields: Headers };
type Door = (headers: Headers) => Promise<Seen>;

const seenIn = (fields: Headers): Seen => ({
  error: fields['spillway-error'] ?? '',
  reason: fields['spillway-reason'] ?? '',
  retryAfterMs: Number(fields['retry-after-ms'] ?? 0),
  fields,
});

const http: Door = async (headers) => {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
  const url = `http://127.0.0.1:${mesh.gateway.ports.http}/v2/models/mlp/infer`;
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ inputs }) });
  await response.arrayBuffer();
  return seenIn(Object.fromEntries(response.headers));
};

const unary: Door = (headers) =>
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

const stream: Door = async (headers) => {
  const opened = client.stream({ headers });
  opened.send(ask('mlp'));
  const first = await Promise.race([opened.received(1), opened.ended]);
  opened.halfClose();
  await opened.ended;
  return Array.isArray(first) ? inMessage(first[0] as StreamAnswer) : seenIn(first?.trailers ?? {});
};

const DOORS = { HTTP: http, gRPC: unary, 'a gRPC stream': stream };

async function untilSeen(door: Door, headers: Headers, error: string): Promise<void> {
  await until(`"${error}" is seen`, async () => (await door(headers)).error === error, 5_000);
}

for (const [name, door] of Object.entries(DOORS)) {
  const id = name.replaceAll(/\W/g, '').toLowerCase();

  test(`${name}: old and new key of a rotation are served until the old one expires, which is then said`, async () => {
    const old = await putKey(mesh.bus, `${id}old`);
    await untilSeen(door, old.headers, '');
    const next = await putKey(mesh.bus, `${id}next`, { family: `${id}old`, createdAt: 2 });
    await untilSeen(door, next.headers, '');
    assert.equal((await door(old.headers)).error, '');
    await putKey(mesh.bus, `${id}old`, { expiresAt: Date.now() });
    await untilSeen(door, old.headers, 'UNAUTHENTICATED');
    assert.equal((await door(old.headers)).reason, 'key_expired');
    assert.equal((await door(next.headers)).error, '');
  });

  test(`${name}: a key is refused as soon as it is revoked`, async () => {
    const key = await putKey(mesh.bus, `${id}gone`);
    await untilSeen(door, key.headers, '');
    await revoke(mesh.bus, key.record.id);
    await untilSeen(door, key.headers, 'UNAUTHENTICATED');
    assert.equal((await door(key.headers)).reason, '');
  });

  test(`${name}: keys of one family share one quota, and beyond it are told when to come again`, async () => {
    const quota = { requestsPerSecond: 0.05 }; // one request, then nothing for 20 s
    const old = await putKey(mesh.bus, `${id}quota`, { quota });
    const next = await putKey(mesh.bus, `${id}more`, { quota, family: `${id}quota`, createdAt: 2 });
    await untilSeen(door, next.headers, '');
    for (const key of [old, next]) {
      const { error, reason, retryAfterMs } = await door(key.headers);
      assert.deepEqual([error, reason], ['QUOTA_EXCEEDED', 'quota']);
      assert.ok(retryAfterMs > 1_000, `${retryAfterMs}`);
    }
  });

  test(`${name}: a key without the scope infer is forbidden, and told which scope it needs`, async () => {
    const key = await putKey(mesh.bus, `${id}scope`, { scopes: ['jobs', 'events'] });
    await untilSeen(door, key.headers, 'FORBIDDEN');
    assert.equal((await door(key.headers)).reason, 'scope');
  });
}

for (const [name, door] of [
  ['HTTP', http],
  ['gRPC', unary],
] as const) {
  test(`${name}: answers and refusals of a key with a quota say what is left of it, those of others say nothing`, async () => {
    const quota = { requestsPerSecond: 0.5, costPerSecond: 1_000 };
    const key = await putKey(mesh.bus, `limits${name.toLowerCase()}`, { quota });
    const free = await putKey(mesh.bus, `free${name.toLowerCase()}`);
    await untilSeen(door, free.headers, '');
    await until('the quota is seen', async () => (await door(key.headers)).error === 'QUOTA_EXCEEDED');
    const { fields } = await door(key.headers);
    const told = Object.entries(fields).filter(([field]) => field.startsWith('x-ratelimit-'));
    assert.deepEqual(
      told.map(([field]) => field.slice('x-ratelimit-'.length)).sort(),
      ['limit', 'remaining', 'reset'].flatMap((what) => [`${what}-cost`, `${what}-requests`]).sort(),
    );
    assert.deepEqual([fields['x-ratelimit-limit-requests'], fields['x-ratelimit-remaining-requests']], ['1', '0']);
    assert.match(fields['x-ratelimit-reset-requests'] ?? '', /^[\d.]+m?s$/);
    const others = Object.keys((await door(free.headers)).fields);
    assert.deepEqual(
      others.filter((field) => field.startsWith('x-ratelimit-')),
      [],
    );
  });
}

test('a stream that waits for answers ends, and they are given up, when its key is revoked', async () => {
  const key = await putKey(mesh.bus, 'waiting');
  await untilSeen(http, key.headers, '');
  const opened = client.stream({ headers: key.headers });
  opened.send(ask('mlp'));
  await opened.received(1);
  opened.send(ask('slow'));
  await revoke(mesh.bus, key.record.id);
  const failure = await opened.ended;
  assert.deepEqual([failure?.code, failure?.trailers['spillway-error']], [16, 'UNAUTHENTICATED']);
  assert.equal(opened.answers.length, 1);
});

test('a stream whose key gets another class goes on, and its next requests are of that class', async () => {
  const key = await putKey(mesh.bus, 'lowered');
  await untilSeen(http, key.headers, '');
  const opened = client.stream({ headers: key.headers });
  await putKey(mesh.bus, 'lowered', { class: 'bulk' });
  const classOf = (answer?: StreamAnswer) => answer?.infer_response.parameters['spillway_class']?.string_param;
  await until('the class is bulk', async () => {
    opened.send(ask('mlp'));
    await opened.received(opened.answers.length + 1);
    return classOf(opened.answers.at(-1)) === 'bulk';
  });
  opened.halfClose();
  assert.equal(await opened.ended, undefined);
});
