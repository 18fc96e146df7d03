import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { failureOf, type GrpcMesh, startGrpcMesh } from './grpc-mesh.ts';

let world: GrpcMesh;
before(async () => {
  world = await startGrpcMesh();
});
after(() => world[Symbol.asyncDispose]());

const post = (action: string, headers: Record<string, string>, body?: object) =>
  fetch(`http://127.0.0.1:${world.mesh.gateway.ports.http}/v2/repository/models/mlp/${action}`, {
    method: 'POST',
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

for (const [action, method] of [
  ['load', 'RepositoryModelLoad'],
  ['unload', 'RepositoryModelUnload'],
] as const) {
  test(`${action} is refused at both doors, by what the caller may do and what it asks for`, async () => {
    const config = { parameters: { config: '{}' } };
    const grpcConfig = { parameters: { config: { string_param: '{}' } } };
    for (const [headers, body, grpcBody, code, status, grpcStatus] of [
      [bearer('sk_no_key'), undefined, {}, 'UNAUTHENTICATED', 401, 16],
      [{}, undefined, {}, 'FORBIDDEN', 403, 7],
      [bearer(world.keys.vip), config, grpcConfig, 'FORBIDDEN', 403, 7],
      [bearer(world.keys['admin'] as string), undefined, {}, 'UNSUPPORTED', 501, 12],
      [bearer(world.keys['admin'] as string), config, grpcConfig, 'UNSUPPORTED', 501, 12],
    ] as const) {
      const response = await post(action, headers, body);
      assert.deepEqual([response.status, response.headers.get('spillway-error')], [status, code]);
      const { error } = (await response.json()) as { error: string };
      const request = { model_name: 'mlp', ...grpcBody };
      const failure = await failureOf(world.client.call(method, request, { headers }));
      assert.deepEqual([failure.code, failure.trailers['spillway-error']], [grpcStatus, code]);
      assert.equal(failure.details, error, 'both doors say the same');
    }
  });
}
