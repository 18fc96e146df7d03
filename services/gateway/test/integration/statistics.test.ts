import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectBus } from '@spillway/bus/connect';
import { keepLease } from '@spillway/bus/leases';
import { gatewayStatisticsCodec } from '@spillway/contracts/messages';
import { STATISTICS_SUBJECT } from '@spillway/contracts/subjects';
import { until } from '@spillway/testing/until';
import type { ModelStatisticsAnswer } from '../../src/core/statistics-answer.ts';
import type { Gateway } from '../../src/service.ts';
import { knowsModel, startGatewayAt } from './gateway-under-test.ts';
import { InferenceClient } from './grpc-client.ts';
import { ask, failureOf, type GrpcMesh, startGrpcMesh } from './grpc-mesh.ts';

let world: GrpcMesh;
before(async () => {
  world = await startGrpcMesh();
});
after(() => world[Symbol.asyncDispose]());

const door = ({ ports }: Gateway): string => `http://127.0.0.1:${ports.http}/v2`;
/** Asks again while another gateway has not told its counts: on a crowded machine it may be late. */
async function statsAt(gateway: Gateway, path: string): Promise<ModelStatisticsAnswer[]> {
  let response = await fetch(door(gateway) + path);
  await until('all gateways have told', async () => {
    if (response.status === 503) response = await fetch(door(gateway) + path);
    return response.status !== 503;
  });
  assert.equal(response.status, 200, await response.clone().text());
  return ((await response.json()) as { model_stats: ModelStatisticsAnswer[] }).model_stats;
}
const successAt = async (gateway: Gateway, version: string): Promise<number> =>
  (await statsAt(gateway, `/models/mlp/versions/${version}/stats`))[0]?.inference_stats.success.count ?? -1;

test('what ran shows at once, under its version, in all members that clients read', async () => {
  const { gateway } = world.mesh;
  const startMs = Date.now();
  await world.client.infer(ask('mlp'));
  await world.client.infer(ask('mlp', [13, 0])).catch(() => undefined);
  const [first, second] = await statsAt(gateway, '/models/mlp/stats');
  assert.deepEqual([first?.version, first?.inference_stats.success.count], ['1', 0]);
  assert.ok(
    second !== undefined && second.last_inference >= startMs - 1_000 && second.last_inference <= Date.now() + 1_000,
  );
  assert.deepEqual([second.name, second.version, second.inference_count, second.execution_count], ['mlp', '2', 1, 1]);
  const { success, fail, queue, compute_infer } = second.inference_stats;
  assert.deepEqual([success.count, fail.count, queue.count], [1, 1, 2]);
  assert.deepEqual(compute_infer, { count: 1, ns: 1_500_000 });
  assert.deepEqual(Object.keys(second.inference_stats).length, 8);
  assert.deepEqual([second.response_stats, second.memory_usage], [{}, []]);
  assert.deepEqual(second.batch_stats, [
    {
      batch_size: 1,
      compute_input: { count: 1, ns: 0 },
      compute_infer: { count: 1, ns: 1_500_000 },
      compute_output: { count: 1, ns: 0 },
    },
  ]);
});

test('both doors give one model, one version, or all of them', async () => {
  const { gateway } = world.mesh;
  const names = (all: { name: string; version: string }[]) => all.map(({ name, version }) => `${name}/${version}`);
  const everything = ['mlp/1', 'mlp/2', 'simple/1', 'slow/1', 'slow/2'];
  assert.deepEqual(names(await statsAt(gateway, '/models/stats')), everything);
  assert.deepEqual(names(await statsAt(gateway, '/models/slow/versions/2/stats')), ['slow/2']);
  type Answer = { model_stats: { name: string; version: string; inference_stats: Record<string, object> }[] };
  const all = (await world.client.call('ModelStatistics', {})) as Answer;
  assert.deepEqual(names(all.model_stats), everything);
  const one = (await world.client.call('ModelStatistics', { name: 'simple', version: '1' })) as Answer;
  assert.deepEqual(names(one.model_stats), ['simple/1']);
  assert.deepEqual(
    Object.entries(one.model_stats[0]?.inference_stats ?? {}).map(([, total]) => total),
    new Array(8).fill({ count: '0', ns: '0' }),
    'each of the eight is there, also at zero',
  );
});

test('what is not there, a version of no model and a wrong key are refused', async () => {
  for (const path of ['/models/nope/stats', '/models/mlp/versions/9/stats']) {
    assert.equal((await fetch(door(world.mesh.gateway) + path)).status, 404, path);
  }
  assert.equal((await failureOf(world.client.call('ModelStatistics', { name: 'nope' }))).code, 5);
  assert.equal((await failureOf(world.client.call('ModelStatistics', { version: '1' }))).code, 3);
  const headers = { authorization: 'Bearer sk_no_key' };
  assert.equal((await fetch(`${door(world.mesh.gateway)}/models/stats`, { headers })).status, 401);
  assert.equal((await failureOf(world.client.call('ModelStatistics', {}, { headers }))).code, 16);
});

test('every gateway gives the sum over all of them; one that ended is not in it', async () => {
  const { nats, gateway } = world.mesh;
  const ofFirst = await successAt(gateway, '1');
  {
    await using second = await startGatewayAt(nats.url);
    await until('the second gateway knows the model', () => knowsModel(second, 'mlp'));
    using client = new InferenceClient(second.ports.grpc);
    await client.infer(ask('mlp', [1, 2], { model_version: '1' }));
    await client.infer(ask('mlp', [1, 2], { model_version: '1' }));
    await world.client.infer(ask('mlp', [1, 2], { model_version: '1' }));
    const sum = ofFirst + 3;
    await until('the first knows the second', async () => (await successAt(gateway, '1')) === sum);
    await until('the second knows the first', async () => (await successAt(second, '1')) === sum);
    const many = await Promise.all(Array.from({ length: 20 }, () => successAt(second, '1')));
    assert.deepEqual(new Set(many), new Set([sum]), 'asked at once, in few rounds');
  }
  await until('only the first is left', async () => (await successAt(gateway, '1')) === ofFirst + 1);
});

test('a live gateway that never answered makes no lower sum but a refusal; once it has, its last answer stands in', async () => {
  const { nats, gateway } = world.mesh;
  const bus = await connectBus({ url: nats.url, service: 'gateway', instance: 'mute' });
  const lease = keepLease(bus, () => ({ service: 'gateway', instance: 'mute', address: '', state: 'ready' }));
  const stats = () => fetch(`${door(gateway)}/models/simple/stats`);
  await until('its silence is seen', async () => (await stats()).status === 503);
  const refusal = await stats();
  assert.deepEqual(
    [refusal.headers.get('spillway-error'), refusal.headers.get('spillway-reason')],
    ['UNAVAILABLE', 'statistics'],
  );
  const none = { count: 0, ns: 0 };
  const versions = [
    { model: 'simple', version: '1', lastInferenceMs: 5, rows: 7, runs: 2, success: { count: 7, ns: 70 } },
  ].map((totals) => ({ ...totals, fail: none, queue: none, run: none, cacheHit: none, cacheMiss: none, batches: [] }));
  const answering = bus.subscribe(STATISTICS_SUBJECT, ({ reply }) => {
    bus.publish(reply, gatewayStatisticsCodec.encode({ gateway: 'mute', versions }));
  });
  const rows = async () => (await statsAt(gateway, '/models/simple/stats'))[0]?.inference_count;
  await until('its answer counts', async () => (await stats()).ok);
  assert.equal(await rows(), 7);
  answering.stop();
  assert.equal(await rows(), 7);
  await lease.release();
  await bus.drain();
  await until('it is gone', async () => (await rows()) === 0);
});

test('the extension is listed', async () => {
  const { extensions } = (await (await fetch(door(world.mesh.gateway))).json()) as { extensions: string[] };
  assert.ok(extensions.includes('statistics'));
});
