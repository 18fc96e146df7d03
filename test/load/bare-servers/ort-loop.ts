import { join } from 'node:path';
import { readModelYaml } from '@spillway/gpu-worker/adapters/model-yaml';
import { hashedNgrams } from '@spillway/gpu-worker/core/hashed-ngrams';
import { SAMPLE_TEXTS } from '@spillway/load/inputs';
import { REPO } from '@spillway/testing/find-binary';
import ort from 'onnxruntime-node';

/** Rows per second of `intent` in plain ONNX Runtime, in a loop that does nothing else. Arguments: rows of a batch, seconds. */
const [rows, seconds] = process.argv.slice(2).map(Number) as [number, number];
const BATCHES = 64;

const folder = join(REPO, 'models', 'intent');
const { preprocess } = readModelYaml(folder);
if (preprocess === undefined) throw new Error('intent reads text');
const { spec } = preprocess;
const session = await ort.InferenceSession.create(join(folder, '1', 'model.onnx'), {
  executionMode: 'sequential',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
const feeds = Array.from({ length: BATCHES }, (_, batch) => {
  const texts = Array.from({ length: rows }, (_, row) => {
    const n = batch * rows + row;
    return `${SAMPLE_TEXTS[n % SAMPLE_TEXTS.length]} ${n}`;
  });
  const ids = hashedNgrams(texts, { ...spec, padTo: 'longest' });
  const { maxIds } = spec;
  return { ids: new ort.Tensor('int32', ids, [rows, ids.length / rows / maxIds, maxIds]) };
});

const run = async (forMs: number): Promise<number> => {
  const startMs = performance.now();
  let ran = 0;
  for (; performance.now() - startMs < forMs; ran += 1)
    await session.run(feeds[ran % BATCHES] as (typeof feeds)[number]);
  return (ran * rows * 1_000) / (performance.now() - startMs);
};
await run(1_000);
console.log(await run(seconds * 1_000));
