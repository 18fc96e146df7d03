import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { packBytes } from '@spillway/contracts/tensor';
import { writePlainAnswer } from '../../src/core/plain-answer.ts';
import { emptyReceipt } from '../../src/core/receipt.ts';
import { fp32, mlp } from './fixtures.ts';

const text: ModelRecord = {
  ...mlp,
  outputs: [
    { name: 'label', datatype: 'BYTES', dims: [1] },
    { name: 'scores', datatype: 'FP32', dims: [2] },
  ],
};

test('the answer has the form of the question, with the outputs by name', () => {
  const receipt = emptyReceipt({ version: '1', cache: 'bypass', degraded: '' });
  const label = {
    name: 'label',
    datatype: 'BYTES' as const,
    shape: [2, 1],
    data: packBytes([Buffer.from('a,"b'), Buffer.from('ö')]),
  };
  const answer = { model: 'intent', outputs: [label, fp32('scores', [2, 2], [0.5, 1, 2, 4])], receipt };
  const write = (form: 'one' | 'rows' | 'columns') =>
    JSON.parse(writePlainAnswer(answer, { inputs: [], form, model: text }, undefined)) as unknown;
  const rows = [
    { label: 'a,"b', scores: [0.5, 1] },
    { label: 'ö', scores: [2, 4] },
  ];
  assert.deepEqual(write('rows'), { outputs: rows });
  assert.deepEqual(write('one'), { outputs: rows[0] });
  assert.deepEqual(write('columns'), {
    outputs: {
      label: ['a,"b', 'ö'],
      scores: [
        [0.5, 1],
        [2, 4],
      ],
    },
  });
});

test('what varies stays an array, a tensor is nested, nothing stays nothing', () => {
  const receipt = emptyReceipt({ version: '1', cache: 'bypass', degraded: 'stale' });
  const model = {
    ...mlp,
    maxBatchSize: 0,
    outputs: [
      { name: 'v', datatype: 'FP32', dims: [-1] },
      { name: 'm', datatype: 'FP32', dims: [2, 2] },
      { name: 'e', datatype: 'FP32', dims: [-1] },
    ],
  } satisfies ModelRecord;
  const outputs = [fp32('v', [1], [7]), fp32('m', [2, 2], [1, 2, 3, 4]), fp32('e', [0], [])];
  const body = writePlainAnswer({ model: 'm', outputs, receipt }, { inputs: [], form: 'one', model }, undefined);
  assert.deepEqual(JSON.parse(body), {
    outputs: {
      v: [7],
      m: [
        [1, 2],
        [3, 4],
      ],
      e: [],
    },
    spillway: { spillway_degraded: 'stale' },
  });
});
