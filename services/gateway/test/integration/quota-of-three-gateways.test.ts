import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connectBus } from '@spillway/bus/connect';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import type { Gateway } from '../../src/service.ts';
import { mlp } from '../unit/fixtures.ts';
import { knowsModel, startGatewayAt, startGatewayUnderTest, until } from './gateway-under-test.ts';
import { PlayedWorker } from './played-worker.ts';
import { putKey, type TestKey } from './test-key.ts';

const SPLIT = [0.7, 0.2, 0.1];
/** Requests per second. */
const QUOTA = 100;
const OFFERED = 300;

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

/** Offers by the clock, whatever is answered, each second request with the other key. @returns Answers by code, and how long it took. */
async function offer(forMs: number): Promise<{ codes: Map<string, number>; tookMs: number }> {
  const codes = new Map<string, number>();
  const sent = SPLIT.map(() => 0);
  const open: Promise<void>[] = [];
  const startMs = performance.now();
  let tookMs = 0;
  for (; tookMs < forMs; tookMs = performance.now() - startMs) {
    for (const [n, share] of SPLIT.entries()) {
      for (; sent[n]! < (share * OFFERED * tookMs) / 1_000; sent[n]! += 1) {
        const answered = infer(gateways[n]!, keys[sent[n]! % keys.length]!);
        open.push(answered.then((code) => void codes.set(code, (codes.get(code) ?? 0) + 1)));
      }
    }
    await delay(2);
  }
  await Promise.all(open);
  return { codes, tookMs };
}

test('three gateways let one quota through, split 70/20/10 and over both keys of a rotation', async (context) => {
  await offer(4_000); // what an idle key may use at once is used up, and the gateways have heard of each other
  const { codes, tookMs } = await offer(5_000);
  const share = (codes.get('OK') ?? 0) / ((QUOTA * tookMs) / 1_000);
  context.diagnostic(`${(100 * share).toFixed(1)} % of the quota, n ${codes.get('OK')}`);
  assert.ok(Math.abs(share - 1) < 0.1, `${share}`);
  assert.deepEqual([...codes.keys()].sort(), ['OK', 'QUOTA_EXCEEDED']);
});
