import { seededRandom } from '@spillway/testing/seeded-random';
import { InferenceSession, Tensor } from 'onnxruntime-node';

export const COLUMNS = 64;
const BATCH = 64;

/** Distinct rows of `mlp` and what plain ONNX Runtime answers to each. */
export type Inputs = { count: number; rows: Float32Array; expected: Float32Array };

/** `count` rows of 64 numbers in [-2, 2) with four decimals (a JSON body of about 500 bytes), and their answers. */
export async function makeInputs(count: number, model: string, seed = 1): Promise<Inputs> {
  const random = seededRandom(seed);
  const rows = Float32Array.from({ length: count * COLUMNS }, () => Math.round((random() * 4 - 2) * 10_000) / 10_000);
  const expected = new Float32Array(count);
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  for (let from = 0; from < count; from += BATCH) {
    const size = Math.min(BATCH, count - from);
    const x = new Tensor('float32', rows.slice(from * COLUMNS, (from + size) * COLUMNS), [size, COLUMNS]);
    const { y } = await session.run({ x });
    expected.set(y?.data as Float32Array, from);
  }
  await session.release();
  return { count, rows, expected };
}

/** The request of an Open Inference Protocol client. A float's shortest decimal keeps its value. */
export function oipBody(inputs: Inputs, index: number): string {
  const data = Array.from(inputs.rows.subarray(index * COLUMNS, (index + 1) * COLUMNS), (v) => Number(v.toFixed(4)));
  return JSON.stringify({ inputs: [{ name: 'x', shape: [1, COLUMNS], datatype: 'FP32', data }] });
}

const BINARY_HEAD = JSON.stringify({
  inputs: [{ name: 'x', shape: [1, COLUMNS], datatype: 'FP32', parameters: { binary_data_size: COLUMNS * 4 } }],
  parameters: { binary_data_output: true },
});

/** The same with binary tensors both ways: bytes of the JSON, and the whole body. */
export function oipBinaryBody(inputs: Inputs, index: number): { headerLength: number; body: Buffer } {
  const row = inputs.rows.slice(index * COLUMNS, (index + 1) * COLUMNS);
  return {
    headerLength: BINARY_HEAD.length,
    body: Buffer.concat([Buffer.from(BINARY_HEAD), new Uint8Array(row.buffer)]),
  };
}
