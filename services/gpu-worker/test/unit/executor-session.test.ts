import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyFrameCodec } from '@spillway/contracts/messages';
import { ExecutorSession } from '../../src/adapters/executor-session.ts';
import { type LoadModel, type RunBatch, runMessageCodec } from '../../src/core/executor-messages.ts';
import { derivedDeclaration, type ModelDeclaration } from '../../src/core/model-declaration.ts';
import { itemsOf, makeBatch, messageOf } from '../support/batches.ts';
import { fp32 } from '../support/tensors.ts';

const tensor = (name: string) => ({ name, datatype: 'FP32' as const, dims: [1] });
const load = (version: string): LoadModel => {
  const declaration: ModelDeclaration = {
    ...derivedDeclaration('m'),
    backend: 'simulated',
    maxBatchSize: 4,
    inputs: [tensor('x')],
    outputs: [tensor('y')],
    parameters: { base_ms: 0, per_row_ms: 0 },
    variants: [{ name: 'lite', parameters: {} }],
  };
  return {
    ...{ model: 'm', version, worker: 'w', file: '', declaration: JSON.stringify(declaration) },
    ...{ providers: ['cpu'], intraOpThreads: 1, maxFileBytes: 1 },
  };
};

test('an executor lets go of a version with its variants, and runs the others on', async () => {
  const session = new ExecutorSession(() => Promise.reject(new Error('a simulated model has no graph')));
  for (const version of ['1', '11']) assert.equal((await session.load(load(version))).error, '');
  const codeOf = async (version: string, variant: string): Promise<string | undefined> => {
    const batch = makeBatch('m', [[fp32('x', [1, 1], [7])]], { version, variant });
    const result = await session.run(runMessageCodec.decode(messageOf(batch)).batch as RunBatch, 0);
    return itemsOf(result.replies.map(({ frame }) => replyFrameCodec.decode(frame)))[0]?.errorCode;
  };
  assert.deepEqual([await codeOf('1', ''), await codeOf('1', 'lite'), await codeOf('11', '')], ['', '', '']);
  await session.release({ model: 'm', version: '1' });
  assert.deepEqual([await codeOf('1', ''), await codeOf('1', 'lite')], ['MODEL_NOT_FOUND', 'MODEL_NOT_FOUND']);
  assert.deepEqual([await codeOf('11', ''), await codeOf('11', 'lite')], ['', '']);
});
