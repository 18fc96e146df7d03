import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectBus } from '@spillway/bus/connect';
import type { ModelRecord } from '@spillway/contracts/buckets';
import type { Tensor } from '@spillway/contracts/messages';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { type AllKeys, writeKeysFile } from '@spillway/testing/api-keys';
import { until } from '@spillway/testing/until';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayUnderTest } from './gateway-under-test.ts';
import { type Failure, InferenceClient } from './grpc-client.ts';
import { PlayedWorker } from './played-worker.ts';

/** Triton's `simple`: sum and difference of two rows of 16. */
const simple: ModelRecord = {
  ...mlp,
  model: 'simple',
  versions: ['1'],
  maxBatchSize: 8,
  inputs: [
    { name: 'INPUT0', datatype: 'INT32', dims: [16] },
    { name: 'INPUT1', datatype: 'INT32', dims: [16] },
  ],
  outputs: [
    { name: 'OUTPUT0', datatype: 'INT32', dims: [16] },
    { name: 'OUTPUT1', datatype: 'INT32', dims: [16] },
  ],
};
const slow: ModelRecord = { ...mlp, model: 'slow' };
const labelled: ModelRecord = { ...mlp, versionLabels: { stable: '1', gone: '7' } };

/** `mlp` answers the first number of its input and fails on 13; `slow` answers only what a test tells it to. */
export type GrpcMesh = AsyncDisposable & {
  mesh: GatewayUnderTest;
  keys: AllKeys;
  client: InferenceClient;
  held: PlayedWorker;
};

/** A gateway with keys that takes messages up to 64 KiB, three models and their played workers, and a client. */
export async function startGrpcMesh(): Promise<GrpcMesh> {
  await using opening = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'spillway-keys-'));
  opening.defer(() => rm(folder, { recursive: true, force: true }));
  const keysFile = join(folder, 'keys.json');
  const keys = await writeKeysFile(keysFile, [{ tenant: 'admin', class: 'standard', scopes: ['infer', 'admin'] }]);
  const env = { GATEWAY_KEYS_FILE: keysFile, GATEWAY_MAX_BODY_BYTES: '65536' };
  const mesh = opening.use(await startGatewayUnderTest({ models: [simple, labelled, slow], env }));
  const client = opening.use(new InferenceClient(mesh.gateway.ports.grpc));
  const serving = async (instance: string) =>
    opening.use(await connectBus({ url: mesh.nats.url, service: 'gpu-worker', instance }));
  opening.use(new PlayedWorker(await serving('worker-simple'), simple, ({ inputs }) => sumAndDifference(inputs)));
  opening.use(new PlayedWorker(await serving('worker-mlp'), labelled, ({ inputs }) => firstNumber(inputs)));
  const held = opening.use(new PlayedWorker(await serving('worker-slow'), slow, () => undefined));
  for (const name of ['simple', 'mlp', 'slow']) {
    const isReady = async () => ((await client.call('ModelReady', { name })) as { ready: boolean }).ready;
    await until(`${name} is ready`, isReady);
  }
  const open = opening.move();
  return { mesh, keys, client, held, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

export const ints = (bytes: Uint8Array): Int32Array => new Int32Array(Uint8Array.from(bytes).buffer);
export const floats = (bytes: Uint8Array): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);

function firstNumber(inputs: Tensor[]) {
  const [x = 0] = floats(inputs[0]?.data as Uint8Array);
  if (x === 13) return { errorCode: 'BACKEND_FAILED', errorMessage: 'the model failed', errorReason: 'run' };
  return [{ name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data: Buffer.from(Float32Array.of(x).buffer) }];
}

function sumAndDifference(inputs: Tensor[]): Tensor[] {
  const [a, b] = inputs.map(({ data }) => ints(data)) as [Int32Array, Int32Array];
  const output = (name: string, values: Int32Array): Tensor => ({
    name,
    datatype: DATA_TYPES.INT32.id,
    shape: [1, 16],
    data: Buffer.from(values.buffer),
  });
  return [
    output(
      'OUTPUT0',
      a.map((v, i) => v + (b[i] ?? 0)),
    ),
    output(
      'OUTPUT1',
      a.map((v, i) => v - (b[i] ?? 0)),
    ),
  ];
}

/** One row of `x`, typed. */
export const ask = (model: string, x: number[] = [1, 2], fields: object = {}) => ({
  model_name: model,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, x.length], contents: { fp32_contents: x } }],
  ...fields,
});

/** What a call fails with. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  try {
    await call;
  } catch (failure) {
    return failure as Failure;
  }
  throw new Error('expected the call to fail');
}
