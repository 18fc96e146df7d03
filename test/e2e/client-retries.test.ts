import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SpillwayClient, SpillwayClientError } from '@spillway/client';
import type { Mesh } from '@spillway/testing/mesh';
import { startSeededMesh, untilServed } from '../support/mesh-fixture.ts';

let mesh: Mesh;
before(async () => {
  const quota = { requestsPerSecond: 4 };
  const patient = ['http', 'grpc'].map((tenant) => ({ tenant, class: 'standard' as const, quota }));
  const impatient = { tenant: 'impatient', class: 'standard' as const, quota: { requestsPerSecond: 0.01 } };
  mesh = await startSeededMesh({ serves: ['mlp'], tenants: [...patient, impatient] });
});
after(() => mesh?.[Symbol.asyncDispose]());

const CALLS = 12;
const X = { x: { data: new Float32Array(64), shape: [1, 64] } };
const urlOf = (door: 'http' | 'grpc'): string => (door === 'http' ? mesh.url : `grpc://${mesh.grpc}`);
const all = (client: SpillwayClient) =>
  Promise.allSettled(Array.from({ length: CALLS }, () => client.infer('mlp', X, { timeoutMs: 60_000 })));

test('without retries what is beyond a quota is refused, with the time to come back', async () => {
  await using client = new SpillwayClient({ url: mesh.url, key: mesh.keys['impatient']!, retry: false });
  const errors = (await all(client)).filter((end) => end.status === 'rejected').map(({ reason }) => reason);
  assert.ok(errors.length > 0);
  for (const error of errors) {
    assert.ok(error instanceof SpillwayClientError);
    assert.equal(error.code, 'QUOTA_EXCEEDED');
    assert.ok(error.retryAfterMs !== undefined && error.retryAfterMs > 0);
    assert.ok(error.requestId);
  }
});

for (const door of ['http', 'grpc'] as const) {
  test(`over ${door} a client that may retry gets everything answered, at the pace of its quota`, async () => {
    const retry = { maxAttempts: 50, tokens: 1_000 };
    await using client = new SpillwayClient({ url: urlOf(door), key: mesh.keys[door]!, retry });
    const ends = await all(client);
    assert.deepEqual(
      ends.filter(({ status }) => status === 'rejected'),
      [],
    );
  });

  test(`over ${door} a client goes on after its gateway was killed and started again`, async () => {
    await using client = new SpillwayClient({ url: urlOf(door), key: mesh.keys.standard, retry: { maxAttempts: 20 } });
    await client.infer('mlp', X);
    const [gateway] = mesh.of('gateway');
    await gateway!.kill('SIGKILL');
    await gateway!.restart();
    await untilServed(gateway!.http, 'mlp');
    const { outputs } = await client.infer('mlp', X, { timeoutMs: 60_000 });
    assert.equal(outputs['y']?.data.length, 1);
  });
}

test('over nats a client goes on after NATS was away', async () => {
  await using client = new SpillwayClient({ url: mesh.nats.url, tenant: 'acme' });
  await client.infer('mlp', X, { timeoutMs: 60_000 });
  await mesh.nats.kill('SIGKILL');
  await mesh.nats.restart();
  const { outputs } = await client.infer('mlp', X, { timeoutMs: 60_000 });
  assert.equal(outputs['y']?.data.length, 1);
});
