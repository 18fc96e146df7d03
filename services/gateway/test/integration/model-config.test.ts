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
