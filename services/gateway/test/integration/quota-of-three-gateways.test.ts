import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connectBus } from '@spillway/bus/connect';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { until } from '@spillway/testing/until';
import type { Gateway } from '../../src/service.ts';
import { mlp } from '../unit/fixtures.ts';
import { knowsModel, startGatewayAt, startGatewayUnderTest } from './gateway-under-test.ts';
import { PlayedWorker } from './played-worker.ts';
import { putKey, type TestKey } from './test-key.ts';

const SPLIT = [0.7, 0.2, 0.1];
/** Requests per second. */
const QUOTA = 100;
const OFFERED = 300;
/** Nothing of the quota is lost while nothing is offered for so long: two seconds of it are kept. */
const KEPT_MS = 1_000;

const gateways: Gateway[] = [];
const cleanUp = new AsyncDisposableStack();
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const keys: TestKey[] = [];

before(async () => {
  const mesh = cleanUp.use(await startGatewayUnderTest({ models: [mlp] }));
  gateways.push(mesh.gateway);
  while (gateways.length < SPLIT.length) gateways.push(cleanUp.use(await startGatewayAt(mesh.nats.url)));
  const bus = cleanUp.use(await connectBus({ url: mesh.nats.url, service: 'gpu-worker', instance: 'worker-1' }));
  const y = { name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data: new Uint8Array(4) };
  cleanUp.use(new PlayedWorker(bus, mlp, () => [y]));
  const quota = { requestsPerSecond: QUOTA };
  // vip: the guard of a busy machine's processor does not refuse it
  keys.push(await putKey(mesh.bus, 'old', { class: 'vip', quota }));
  keys.push(await putKey(mesh.bus, 'next', { class: 'vip', quota, family: 'old', createdAt: 2 }));
  for (const gateway of gateways) {
    await until('the model is known', () => knowsModel(gateway, 'mlp'));
    for (const key of keys)
      await until('the key is known', async () => (await infer(gateway, key)) !== 'UNAUTHENTICATED');
  }
  cleanUp.defer(() => agent.destroy());
});
after(() => cleanUp.disposeAsync());

const BODY = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] });

/** @returns The code of its error, or OK. */
function infer({ ports }: Gateway, { headers }: TestKey): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: ports.http,
      path: '/v2/models/mlp/infer',
      method: 'POST',
      agent,
      headers,
    };
    const call = request(options, (response) => {
      response.resume().on('end', () => resolve(String(response.headers['spillway-error'] ?? 'OK')));
    });
    call.on('error', reject);
    call.end(BODY);
  });
}

/** `fromMs`, `toMs`: the first and the last offer; `stalledMs`: for how long this process, with its gateways, stood still. */
type Offered = { codes: Map<string, number>; fromMs: number; toMs: number; stalledMs: number };

/** Offers by the clock, whatever is answered, each second request with the other key. Resolves when all is answered. */
async function offer(forMs: number): Promise<Offered> {
  const codes = new Map<string, number>();
  const sent = SPLIT.map(() => 0);
  const open: Promise<void>[] = [];
  const fromMs = performance.now();
  let toMs = fromMs;
  let stalledMs = 0;
  for (let nowMs = fromMs; nowMs < fromMs + forMs; nowMs = performance.now()) {
    stalledMs += Math.max(0, nowMs - toMs - KEPT_MS);
    toMs = nowMs;
    for (const [n, share] of SPLIT.entries()) {
      for (; sent[n]! < (share * OFFERED * (toMs - fromMs)) / 1_000; sent[n]! += 1) {
        const answered = infer(gateways[n]!, keys[sent[n]! % keys.length]!);
        open.push(answered.then((code) => void codes.set(code, (codes.get(code) ?? 0) + 1)));
      }
    }
    await delay(2);
  }
  await Promise.all(open);
  return { codes, fromMs, toMs, stalledMs };
}

test('three gateways let one quota through, split 70/20/10 and over both keys of a rotation', async (context) => {
  const first = await offer(4_000); // what an idle key may use at once is used up, and the gateways have heard of each other
  const { codes, fromMs, toMs, stalledMs } = await offer(5_000);
  const through = codes.get('OK') ?? 0;
  const refilled = (ms: number) => (QUOTA * ms) / 1_000;
  context.diagnostic(`${through} of ${refilled(toMs - fromMs)} were let through, ${stalledMs} ms stood still`);
  const most = 1.1 * refilled(performance.now() - first.toMs);
  const least = 0.9 * refilled(toMs - fromMs - stalledMs);
  assert.ok(least < through && through < most, `${least} < ${through} < ${most}`);
  assert.deepEqual([...codes.keys()].sort(), ['OK', 'QUOTA_EXCEEDED']);
});
