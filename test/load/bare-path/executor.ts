import { Socket } from 'node:net';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { COLUMNS, newBlock, onBlocks } from './wire.ts';

/** The bare path's executor: blocks of rows in over descriptor 3, `mlp` run once for each, blocks of answers out. */
const session = await InferenceSession.create(process.env['MODEL'] ?? '', {
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
for (const rows of [1, 8, 64])
  await session.run({ x: new Tensor('float32', new Float32Array(rows * COLUMNS), [rows, COLUMNS]) });

const pipe = new Socket({ fd: 3 });
let turn = Promise.resolve();
onBlocks(pipe, ({ id, rows, data }) => {
  const input = new Float32Array(rows * COLUMNS);
  data.copy(new Uint8Array(input.buffer));
  turn = turn.then(async () => {
    const { y } = await session.run({ x: new Tensor('float32', input, [rows, COLUMNS]) });
    const output = y?.data as Float32Array;
    const block = newBlock(id, rows, output.byteLength);
    block.data.set(new Uint8Array(output.buffer, output.byteOffset, output.byteLength));
    pipe.write(block.bytes);
  });
});
pipe.once('close', () => process.exit(0));
pipe.write(newBlock(0, 0, 0).bytes);
