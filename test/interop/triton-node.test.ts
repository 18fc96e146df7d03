import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Mesh } from '@spillway/testing/mesh';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { OipGrpcClient } from '../support/oip-grpc.ts';

/** The steps of Triton's Node example (triton-inference-server/client, src/grpc_generated/javascript/client.js), unmodified. */
let mesh: Mesh;
let client: OipGrpcClient;
before(async () => {
  mesh = await startSeededMesh({ serves: ['simple'] });
  client = new OipGrpcClient(mesh.grpc);
});
after(async () => {
  client?.[Symbol.dispose]();
  await mesh?.[Symbol.asyncDispose]();
});

test("Triton's Node example runs: live, ready, metadata, and simple with typed contents and no id", async () => {
  const live = await client.call<{ live: boolean }>('ServerLive', {});
  assert.equal(live.response?.live, true);
  const ready = await client.call<{ ready: boolean }>('ServerReady', {});
  assert.equal(ready.response?.ready, true);
  type Metadata = { name: string; versions: string[]; inputs: { name: string; datatype: string; shape: string[] }[] };
  const metadata = await client.call<Metadata>('ModelMetadata', { name: 'simple', version: '' });
  assert.equal(metadata.response?.name, 'simple');
  assert.deepEqual(
    metadata.response?.inputs.map(({ name, datatype }) => [name, datatype]),
    [
      ['INPUT0', 'INT32'],
      ['INPUT1', 'INT32'],
    ],
  );

  const input0 = Array.from({ length: 16 }, (_, n) => n);
  const input1 = Array(16).fill(1);
  const input = (name: string, data: number[]) => ({
    name,
    datatype: 'INT32',
    shape: [1, 16],
    contents: { int_contents: data },
  });
  const { code, details, response } = await client.infer({
    model_name: 'simple',
    model_version: '',
    inputs: [input('INPUT0', input0), input('INPUT1', input1)],
    outputs: [{ name: 'OUTPUT0' }, { name: 'OUTPUT1' }],
  });
  assert.equal(code, 0, details);
  const read = (raw: Buffer | undefined): number[] => Array.from({ length: 16 }, (_, n) => raw!.readInt32LE(n * 4));
  assert.deepEqual(
    read(response?.raw_output_contents?.[0]),
    input0.map((a) => a + 1),
  );
  assert.deepEqual(
    read(response?.raw_output_contents?.[1]),
    input0.map((a) => a - 1),
  );
});
