import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../../src/context.ts';
import { planMesh, withoutSecrets } from '../../src/mesh-plan.ts';
import { SERVICES } from '../../src/ports.ts';

const context = (env: NodeJS.ProcessEnv) => ({ env, root: repositoryRoot, dataDir: '/data', node: '/node' });
const ONE_EACH = { gateway: 1, cache: 1, 'feature-service': 1, batcher: 1, 'gpu-worker': 1 };
const servers = { nats: '/nats-server', redis: '/redis-server' };
const plan = (env: NodeJS.ProcessEnv = {}, scale = ONE_EACH) =>
  planMesh(context(env), { portBase: 8000, scale, models: '/models' }, servers);

for (const service of SERVICES) {
  test(`every variable that ${service} gets is one that it reads`, () => {
    const schema = readFileSync(join(repositoryRoot, 'services', service, 'src', 'config.ts'), 'utf8');
    const prefix = `${service.toUpperCase().replaceAll('-', '_')}_`;
    const child = plan().children.find(({ name }) => name === `${service}-1`);
    const own = Object.keys(child?.env ?? {}).filter((name) => name.startsWith(prefix));
    assert.ok(own.length > 0);
    for (const name of own) assert.ok(schema.includes(`'${name}'`), name);
  });
}

test('models follow commands only where somebody says so', () => {
  const modeOf = (more: object, env: NodeJS.ProcessEnv = {}) =>
    planMesh(context(env), { portBase: 8000, scale: ONE_EACH, models: '/models', ...more }, servers).children.find(
      ({ service }) => service === 'gpu-worker',
    )?.env['GPU_WORKER_MODEL_CONTROL_MODE'];
  assert.equal(modeOf({}), undefined);
  assert.equal(modeOf({ modelControlMode: 'explicit' }), 'explicit');
  assert.equal(modeOf({}, { GPU_WORKER_MODEL_CONTROL_MODE: 'explicit' }), 'explicit');
});

test('each instance has a name, ports and a log of its own', () => {
  const { children } = plan({}, { ...ONE_EACH, batcher: 2 });
  const [first, second] = children.filter(({ service }) => service === 'batcher');
  assert.deepEqual([first?.env['SPILLWAY_INSTANCE'], second?.env['SPILLWAY_INSTANCE']], ['batcher-1', 'batcher-2']);
  assert.deepEqual([first?.env['BATCHER_GRPC_PORT'], second?.env['BATCHER_GRPC_PORT']], ['8040', '8042']);
  assert.equal(second?.logPath, '/data/logs/batcher-2.log');
});

test('servers that run already are used, and none is started in their place', () => {
  const { children, endpoints, wanted } = plan({ NATS_URL: 'nats://far:4222', REDIS_URL: 'redis://far:6379' });
  assert.ok(children.every(({ name }) => name !== 'nats' && name !== 'redis'));
  assert.ok(wanted.every(({ port }) => port !== 8010 && port !== 8011));
  assert.equal(endpoints.nats, 'nats://far:4222');
  assert.ok(children.every(({ env }) => env['REDIS_URL'] === 'redis://far:6379'));
});

test('what is shown of a URL has no credentials; the services get them', () => {
  const url = 'nats://user:secret@a:4222,nats://user:secret@b:4222';
  assert.equal(withoutSecrets(url), 'nats://a:4222,nats://b:4222');
  const { children, endpoints } = plan({ NATS_URL: url });
  assert.equal(endpoints.nats, 'nats://a:4222,nats://b:4222');
  assert.ok(children.filter(({ service }) => service !== 'redis').every(({ env }) => env['NATS_URL'] === url));
});

test("the user's own settings of a service reach it; what the mesh must agree on does not change", () => {
  const { children } = plan({ BATCHER_REPLY_MARGIN_MS: '3', GATEWAY_HTTP_PORT: '1', GATEWAY_HOST: '0.0.0.0' });
  assert.equal(children.find(({ name }) => name === 'batcher-1')?.env['BATCHER_REPLY_MARGIN_MS'], '3');
  const gateway = children.find(({ name }) => name === 'gateway-1');
  assert.equal(gateway?.env['GATEWAY_HTTP_PORT'], '8000');
  assert.equal(gateway?.env['GATEWAY_HOST'], '0.0.0.0');
});

test('gateways are drained first, NATS and Redis last', () => {
  const stage = (wanted: string) => plan().children.find(({ service }) => service === wanted)?.drainStage ?? Number.NaN;
  for (const service of ['batcher', 'gpu-worker', 'cache', 'feature-service']) {
    assert.ok(stage('gateway') < stage(service) && stage(service) < stage('nats'), service);
    assert.equal(stage('nats'), stage('redis'));
  }
});
