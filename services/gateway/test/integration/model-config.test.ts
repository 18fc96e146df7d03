import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { failureOf, type GrpcMesh, startGrpcMesh } from './grpc-mesh.ts';

let world: GrpcMesh;
let url: string;
before(async () => {
  world = await startGrpcMesh();
  url = `http://127.0.0.1:${world.mesh.gateway.ports.http}`;
});
after(() => world[Symbol.asyncDispose]());

type Config = { name: string; max_batch_size: number; input: { name: string; dims: unknown[]; data_type: string }[] };

test('both doors give the config of a model, with and without a version', async () => {
  for (const path of ['/v2/models/simple/config', '/v2/models/simple/versions/1/config']) {
    const response = await fetch(url + path);
    assert.equal(response.status, 200, path);
    const config = (await response.json()) as Config;
    assert.deepEqual([config.name, config.max_batch_size], ['simple', 8]);
    assert.deepEqual(config.input[0]?.dims, [16]);
  }
  for (const version of ['', '1']) {
    const { config } = (await world.client.call('ModelConfig', { name: 'simple', version })) as { config: Config };
    assert.deepEqual([config.name, config.max_batch_size], ['simple', 8]);
    assert.deepEqual(
      config.input.map(({ name, data_type, dims }) => [name, data_type, dims]),
      [
        ['INPUT0', 'TYPE_INT32', ['16']],
        ['INPUT1', 'TYPE_INT32', ['16']],
      ],
    );
  }
});

test('a label stands for its version wherever one is named; one that stands for nothing is not found', async () => {
  const get = async (path: string) => {
    const response = await fetch(`${url}/v2/models/mlp/versions/${path}`);
    return [response.status, (await response.json()) as Record<string, unknown>] as const;
  };
  assert.equal((await get('stable/config'))[0], 200);
  assert.deepEqual((await get('stable'))[1]['versions'], ['1', '2']);
  assert.deepEqual(await get('stable/ready'), [200, { name: 'mlp', ready: true }]);
  const [, stats] = await get('stable/stats');
  assert.deepEqual(
    (stats['model_stats'] as { version: string }[]).map(({ version }) => version),
    ['1'],
  );
  for (const [path, body, answer] of [
    ['infer', { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }, /"model_version":"1"/],
    ['generate', { x: [1, 2] }, /"model_version":"1","y":1}$/],
  ] as const) {
    const init = { method: 'POST', body: JSON.stringify(body) };
    assert.match(await (await fetch(`${url}/v2/models/mlp/versions/stable/${path}`, init)).text(), answer);
  }
  const predict = await fetch(`${url}/v1/models/mlp/versions/stable:predict`, {
    method: 'POST',
    body: '{"inputs":[1,2]}',
  });
  assert.equal(predict.headers.get('spillway-model-version'), '1');
  for (const [label, expected] of [
    ['beta', /has no such label; it has stable \(1\), gone \(7\), and the versions 1, 2/],
    ['gone', /cannot serve version 7, which the label stands for; it has 1, 2/],
  ] as const) {
    const [status, { error }] = await get(`${label}/ready`);
    assert.equal(status, 404);
    assert.match(error as string, expected);
  }
  const ready = (version: string) => world.client.call('ModelReady', { name: 'mlp', version });
  assert.deepEqual([await ready('stable'), await ready('gone')], [{ ready: true }, { ready: false }]);
});

test('what is not there is MODEL_NOT_FOUND, and a wrong key is refused', async () => {
  for (const path of ['/v2/models/nope/config', '/v2/models/mlp/versions/9/config']) {
    const response = await fetch(url + path);
    assert.deepEqual([response.status, response.headers.get('spillway-error')], [404, 'MODEL_NOT_FOUND'], path);
  }
  for (const request of [{ name: 'nope' }, { name: 'mlp', version: '9' }]) {
    assert.equal((await failureOf(world.client.call('ModelConfig', request))).code, 5);
  }
  const headers = { authorization: 'Bearer sk_no_key' };
  assert.equal((await fetch(`${url}/v2/models/mlp/config`, { headers })).status, 401);
  assert.equal((await failureOf(world.client.call('ModelConfig', { name: 'mlp' }, { headers }))).code, 16);
});

test('a path that is served refuses other methods by name, one that is not is NOT_FOUND', async () => {
  for (const [method, path, allow] of [
    ['POST', '/v2', 'GET, HEAD'],
    ['DELETE', '/v2/models/mlp', 'GET, HEAD'],
    ['POST', '/v2/models/mlp/versions/1/config', 'GET, HEAD'],
    ['PUT', '/v2/models/stats', 'GET, HEAD'],
    ['GET', '/v2/repository/index', 'POST'],
    ['GET', '/v2/repository/models/mlp/load', 'POST'],
  ] as const) {
    const response = await fetch(url + path, { method });
    const { error } = (await response.json()) as { error: string };
    assert.deepEqual([response.status, response.headers.get('allow')], [405, allow], path);
    assert.equal(error, `expected ${allow}, got ${method}`);
  }
  assert.equal((await fetch(`${url}/v2/nothing`, { method: 'POST' })).status, 404);
  assert.equal((await fetch(`${url}/v2/models/mlp`, { method: 'HEAD' })).status, 200);
});

test('the extension is listed at both doors', async () => {
  const { extensions } = (await (await fetch(`${url}/v2`)).json()) as { extensions: string[] };
  assert.ok(extensions.includes('model_configuration'));
  assert.deepEqual(
    ((await world.client.call('ServerMetadata', {})) as { extensions: string[] }).extensions,
    extensions,
  );
});
