import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRecord, TensorSpec } from '@spillway/contracts/buckets';
import { type NumericType, numericView, unpackBytes } from '@spillway/contracts/tensor';
import { readPlainBody } from '../../src/core/plain-infer.ts';
import type { TensorValue } from '../../src/core/request.ts';
import { validateInputs } from '../../src/core/validate.ts';
import { mlp } from './fixtures.ts';

const with_ = (inputs: TensorSpec[], over: Partial<ModelRecord> = {}): ModelRecord => ({ ...mlp, inputs, ...over });
const text = with_([{ name: 'text', datatype: 'BYTES', dims: [1] }], {
  outputs: [
    { name: 'label', datatype: 'BYTES', dims: [1] },
    { name: 'scores', datatype: 'FP32', dims: [2] },
  ],
});
const risk = with_([{ name: 'client_id', datatype: 'BYTES', dims: [1] }], {
  features: { entity: 'client_id', tensors: [] },
});
const two = with_([
  { name: 'a', datatype: 'FP32', dims: [-1] },
  { name: 'b', datatype: 'INT64', dims: [1] },
]);
const matrix = with_([{ name: 'm', datatype: 'INT32', dims: [2, 2] }]);
const alone = with_([{ name: 'x', datatype: 'FP32', dims: [2] }], { maxBatchSize: 0 });

const read = (body: unknown, model: ModelRecord) => readPlainBody(Buffer.from(JSON.stringify(body)), model);
const valuesOf = ({ datatype, data, shape, name }: TensorValue): unknown[] =>
  datatype === 'BYTES'
    ? unpackBytes(
        data,
        shape.reduce((a, b) => a * b, 1),
        name,
      ).map(String)
    : Array.from(numericView(datatype as NumericType, data) as Iterable<unknown>);

test('inputs are one row or many, by what the model takes', () => {
  const cases: [unknown, ModelRecord, string, [number[], unknown[]][]][] = [
    [
      { inputs: [1, 2] },
      mlp,
      'one',
      [
        [
          [1, 2],
          [1, 2],
        ],
      ],
    ],
    [
      {
        inputs: [
          [1, 2],
          [3, 4],
        ],
      },
      mlp,
      'rows',
      [
        [
          [2, 2],
          [1, 2, 3, 4],
        ],
      ],
    ],
    [
      { inputs: { x: [1, 2] } },
      mlp,
      'one',
      [
        [
          [1, 2],
          [1, 2],
        ],
      ],
    ],
    [
      { inputs: { x: [[1, 2]] } },
      mlp,
      'columns',
      [
        [
          [1, 2],
          [1, 2],
        ],
      ],
    ],
    [
      { inputs: [{ x: [1, 2] }, { x: [3, 4] }] },
      mlp,
      'rows',
      [
        [
          [2, 2],
          [1, 2, 3, 4],
        ],
      ],
    ],
    [{ inputs: [1, 2] }, alone, 'one', [[[2], [1, 2]]]],
    [{ text: 'hi' }, text, 'one', [[[1, 1], ['hi']]]],
    [
      { text: ['hi', 'ho'] },
      text,
      'rows',
      [
        [
          [2, 1],
          ['hi', 'ho'],
        ],
      ],
    ],
    [{ inputs: 'hi' }, text, 'one', [[[1, 1], ['hi']]]],
    [
      { inputs: [['hi'], ['ho']] },
      text,
      'rows',
      [
        [
          [2, 1],
          ['hi', 'ho'],
        ],
      ],
    ],
    [{ inputs: [{ text: 'hi' }] }, text, 'rows', [[[1, 1], ['hi']]]],
    [{ entities: 'c-1' }, risk, 'one', [[[1, 1], ['c-1']]]],
    [
      { entities: [7, 'c-2'] },
      risk,
      'rows',
      [
        [
          [2, 1],
          ['7', 'c-2'],
        ],
      ],
    ],
    [
      { inputs: { a: [1, 2, 3], b: 5 } },
      two,
      'one',
      [
        [
          [1, 3],
          [1, 2, 3],
        ],
        [[1, 1], [5n]],
      ],
    ],
    [
      { inputs: { a: [[1], [2]], b: [5, 6] } },
      two,
      'columns',
      [
        [
          [2, 1],
          [1, 2],
        ],
        [
          [2, 1],
          [5n, 6n],
        ],
      ],
    ],
    [
      {
        inputs: [
          { a: [1, 2], b: 5 },
          { a: [3, 4], b: 6 },
        ],
      },
      two,
      'rows',
      [
        [
          [2, 2],
          [1, 2, 3, 4],
        ],
        [
          [2, 1],
          [5n, 6n],
        ],
      ],
    ],
    [
      {
        inputs: [
          [1, 2],
          [3, 4],
        ],
      },
      matrix,
      'one',
      [
        [
          [1, 2, 2],
          [1, 2, 3, 4],
        ],
      ],
    ],
    [
      {
        inputs: [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      },
      matrix,
      'rows',
      [
        [
          [1, 2, 2],
          [1, 2, 3, 4],
        ],
      ],
    ],
  ];
  for (const [body, model, form, wanted] of cases) {
    const call = read(body, model);
    const got = call.inputs.map((input) => [input.shape, valuesOf(input)]);
    assert.deepEqual([call.form, got], [form, wanted], JSON.stringify(body));
    validateInputs(call, model);
  }
});

test('64-bit integers keep every digit', () => {
  const body = Buffer.from('{"inputs":{"a":[1],"b":9007199254740993}}');
  assert.deepEqual(valuesOf(readPlainBody(body, two).inputs[1] as TensorValue), [9007199254740993n]);
});

test('a fault names the member and what the model takes', () => {
  const cases: [unknown, ModelRecord, RegExp][] = [
    [{}, mlp, /body: expected one of "inputs", "text" or "entities", got none/],
    [{ text: 'a', inputs: 'b' }, text, /got inputs and text/],
    [{ text: 'a' }, mlp, /text: model "mlp" does not take one text but x \(FP32 \[2\]\)/],
    [{ entities: 'a' }, mlp, /entities: model "mlp" looks nothing up/],
    [{ inputs: 1 }, mlp, /inputs: expected a FP32 array of shape \[2\]/],
    [{ inputs: [[[1, 2]]] }, mlp, /inputs: expected a FP32 array of shape \[2\], or an array of such/],
    [{ inputs: [1, 2] }, two, /takes a \(FP32 \[-1\]\), b \(INT64 \[1\]\); expected an object/],
    [{ inputs: { a: [1] } }, two, /inputs: expected "b"/],
    [{ inputs: [{ a: [1], b: 1, c: 1 }] }, two, /inputs\[0\]: the model has no input "c"/],
    [{ inputs: [{ a: [1], b: 1 }, 3] }, two, /inputs\[1\]: expected an object/],
    [{ inputs: { a: [[1], [2]], b: 5 } }, two, /a and b differ/],
    [{ inputs: Array.from({ length: 5 }, () => [1, 2]) }, mlp, /expected 1 to 4 rows \(max_batch_size\), got 5/],
    [{ inputs: Array.from({ length: 5 }, () => ({ x: [1, 2] })) }, mlp, /expected 1 to 4 rows/],
    [{ inputs: [[1, 2]] }, alone, /"mlp" does not batch: expected one row/],
    [{ inputs: [[1, 2], [3]] }, mlp, /nested like its shape \[2,2\]/],
    [{ inputs: ['a', 'b'] }, mlp, /data\[0\]: expected a number that fits FP32, got "a"/],
    [{ text: [1] }, text, /expected a string, got 1/],
    [{ entities: [1.5] }, risk, /expected a string, got 1.5/],
    [{ text: { a: 1 } }, text, /text: expected one BYTES/],
  ];
  for (const [body, model, message] of cases) {
    assert.throws(
      () => read(body, model),
      (error: { code: string; message: string }) => error.code === 'INVALID_REQUEST' && message.test(error.message),
      `${JSON.stringify(body)} → ${message}`,
    );
  }
  assert.throws(() => readPlainBody(Buffer.from('{"text":"a"}'), undefined), /no such model/);
});
