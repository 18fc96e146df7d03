import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { keepLease } from '@spillway/bus/leases';
import { type CommandOutcome, MODEL_COMMANDS, MODELS, type ModelCommand } from '@spillway/contracts/buckets';
import { auditSubject } from '@spillway/contracts/subjects';
import { type AllKeys, writeKeysFile } from '@spillway/testing/api-keys';
import { until } from '@spillway/testing/until';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, knowsModel, startGatewayAt, startGatewayUnderTest } from './gateway-under-test.ts';
import { InferenceClient } from './grpc-client.ts';
import { failureOf } from './grpc-mesh.ts';

let folder: string;
let keysFile: string;
let keys: AllKeys;
let mesh: GatewayUnderTest;
let client: InferenceClient;
const workers: PlayedFollower[] = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spillway-keys-'));
  keysFile = join(folder, 'keys.json');
  keys = await writeKeysFile(keysFile, [{ tenant: 'admin', class: 'standard', scopes: ['infer', 'admin'] }]);
  mesh = await startGatewayUnderTest({ models: [mlp], env: { GATEWAY_KEYS_FILE: keysFile } });
  client = new InferenceClient(mesh.gateway.ports.grpc);
  for (const instance of ['worker-1', 'worker-2']) workers.push(await PlayedFollower.start(mesh.nats.url, instance));
  followAll(() => ({ text: 'not yet', missing: false }));
  await until('both workers are known', async () => (await post('load', 'mlp')).text.includes('2 of 2 workers'));
});
after(async () => {
  for (const worker of workers) await worker[Symbol.asyncDispose]();
  client?.[Symbol.dispose]();
  await mesh?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A worker that follows commands as a test tells it to, and says so in its lease. */
class PlayedFollower implements AsyncDisposable {
  readonly outcomes = new Map<string, CommandOutcome>();
  follow: (command: ModelCommand) => CommandOutcome['error'] | 'silent' = () => undefined;
  serves = ['mlp'];
  readonly bus: Bus;
  readonly lease: ReturnType<typeof keepLease>;

  static async start(url: string, instance: string): Promise<PlayedFollower> {
    return new PlayedFollower(await connectBus({ url, service: 'gpu-worker', instance }));
  }

  constructor(bus: Bus) {
    this.bus = bus;
    this.lease = keepLease(bus, () => ({
      ...{ service: 'gpu-worker', instance: bus.instance, address: '', state: 'ready' },
      models: this.serves.map((model) => ({ model, versions: mlp.versions })),
      commands: [...this.outcomes.values()],
    }));
    openBucket<ModelCommand>(bus, MODEL_COMMANDS).watch((model, command) => {
      const error = command && this.follow(command);
      if (command === undefined || error === 'silent') return;
      this.outcomes.set(model, { id: command.id, model, ...(error && { error }) });
      this.lease.refresh();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lease.release();
    await this.bus[Symbol.asyncDispose]();
  }
}

const admin = () => ({ authorization: `Bearer ${keys['admin'] as string}` });
const url = (path: string, { ports } = mesh.gateway) => `http://127.0.0.1:${ports.http}${path}`;
async function post(action: 'load' | 'unload', model: string, gateway = mesh.gateway) {
  const at = url(`/v2/repository/models/${model}/${action}`, gateway);
  const response = await fetch(at, { method: 'POST', headers: admin() });
  const text = await response.text();
  return { status: response.status, code: response.headers.get('spillway-error'), text };
}
const index = async (gateway = mesh.gateway) =>
  (await (await fetch(url('/v2/repository/index', gateway), { method: 'POST' })).json()) as Record<string, string>[];
const followAll = (follow: PlayedFollower['follow']) => {
  for (const worker of workers) worker.follow = follow;
};

test('a load that every worker followed is answered with nothing, at both doors, and is on record', async () => {
  const heard: Record<string, string>[] = [];
  mesh.bus.subscribe(auditSubject('model'), ({ payload }) => heard.push(JSON.parse(String(payload))));
  followAll(() => undefined);
  assert.deepEqual(await post('load', 'mlp'), { status: 200, code: null, text: '' });
  assert.deepEqual(await client.call('RepositoryModelLoad', { model_name: 'mlp' }, { headers: admin() }), {});
  await until('both are on record', () => heard.length >= 2);
  assert.deepEqual([heard[0]?.['action'], heard[0]?.['model']], ['loaded', 'mlp']);
  assert.match(heard[0]?.['by'] ?? '', /^admin\//);
});

test('what one worker could not do is said, with its words', async () => {
  const [first] = workers;
  followAll(() => undefined);
  first!.follow = () => ({ text: 'version 2: bad graph', missing: false });
  const { status, code, text } = await post('load', 'mlp');
  assert.deepEqual([status, code], [502, 'BACKEND_FAILED']);
  assert.match(text, /1 of 2 workers: version 2: bad graph/);
});

test('a model that no worker has a folder of is not found, and its command is forgotten', async () => {
  followAll(() => ({ text: 'no such folder', missing: true }));
  const failure = await failureOf(client.call('RepositoryModelLoad', { model_name: 'typo' }, { headers: admin() }));
  assert.deepEqual([failure.code, failure.trailers['spillway-error']], [5, 'MODEL_NOT_FOUND']);
  assert.equal(await openBucket<ModelCommand>(mesh.bus, MODEL_COMMANDS).get('typo'), undefined);
  assert.equal((await post('unload', 'typo')).code, 'MODEL_NOT_FOUND');
});

test('a worker that is not done in time is waited for no longer', async () => {
  followAll(() => 'silent');
  const env = { GATEWAY_KEYS_FILE: keysFile, GATEWAY_MODEL_CONTROL_LIMIT_MS: '100' };
  await using hasty = await startGatewayAt(mesh.nats.url, env);
  await until('it knows the workers', async () => (await index(hasty)).some(({ state }) => state === 'READY'));
  const { status, code } = await post('load', 'mlp', hasty);
  assert.deepEqual([status, code], [504, 'DEADLINE_EXCEEDED']);
});

test('a repository has no name', async () => {
  const request = { model_name: 'mlp', repository_name: 'other' };
  const failure = await failureOf(client.call('RepositoryModelLoad', request, { headers: admin() }));
  assert.equal(failure.trailers['spillway-error'], 'UNSUPPORTED');
});

test('an unloaded model is not found, and the index says what it was and why', async () => {
  const catalogue = openBucket(mesh.bus, MODELS);
  await catalogue.put('mlp', { ...mlp, unloaded: true });
  await until('it is unloading', async () => (await index())[0]?.['reason'] === 'unloading');
  followAll(() => undefined);
  for (const worker of workers) worker.serves = [];
  assert.equal((await post('unload', 'mlp')).status, 200);
  const unloaded = { name: 'mlp', state: 'UNAVAILABLE', reason: 'unloaded' };
  assert.deepEqual(
    await index(),
    mlp.versions.map((version) => ({ ...unloaded, version })),
  );
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] });
  const refused = await fetch(url('/v2/models/mlp/infer'), { method: 'POST', body });
  assert.deepEqual([refused.status, refused.headers.get('spillway-error')], [404, 'MODEL_NOT_FOUND']);
  assert.equal((await fetch(url('/v2/models/mlp/ready'))).status, 404);
  assert.equal((await post('unload', 'mlp')).status, 200, 'once more does no harm');

  await catalogue.put('mlp', mlp);
  for (const worker of workers) worker.serves = ['mlp'];
  assert.equal((await post('load', 'mlp')).status, 200);
  await until('it is served again', () => knowsModel(mesh.gateway, 'mlp'));
});
