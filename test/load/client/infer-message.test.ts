import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRequest, encodeResponse, firstOutput, rawInput } from './infer-message.ts';

const inputs = { count: 2, rows: Float32Array.from({ length: 128 }, (_, n) => n / 4), expected: new Float32Array(2) };

test('the request carries its row in raw_input_contents', () => {
  const raw = rawInput(encodeRequest(inputs, 1));
  const copy = new Uint8Array(raw);
  assert.deepEqual(new Float32Array(copy.buffer), inputs.rows.subarray(64, 128));
});

test('the first number of raw_output_contents is found behind the other fields', () => {
  const data = Buffer.alloc(4);
  data.writeFloatLE(-0.25);
  assert.equal(firstOutput(encodeResponse(data)), -0.25);
  assert.ok(Number.isNaN(firstOutput(Buffer.alloc(0))));
});
