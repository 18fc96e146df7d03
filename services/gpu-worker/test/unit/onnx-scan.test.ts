import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal, scanOnnx } from '../../src/core/onnx-scan.ts';
import { fixture } from '../support/fixtures.ts';

test('initialisers that an old graph lists as inputs are not inputs', () => {
  const scan = scanOnnx(fixture('fixed-batch'));
  assert.deepEqual(scan.inputs, [{ name: 'Input3', elemType: 1 }]);
  assert.deepEqual(scan.outputs, [{ name: 'Plus214_Output_0', elemType: 1 }]);
  assert.equal(scan.irVersion, 3);
  assert.equal(refusal(scan), undefined);
});

test('external data is refused, also where it hides in the branch of a node', () => {
  for (const name of ['external-data', 'external-data-in-branch']) {
    assert.match(
      refusal(scanOnnx(fixture(name))) ?? '',
      /expected all weights inside the file.*the first is "w"/,
      name,
    );
  }
});

test('bfloat16 at the border is refused with the reason', () => {
  assert.match(
    refusal(scanOnnx(fixture('bfloat16'))) ?? '',
    /input "x": .*got bfloat16; onnxruntime-node cannot exchange/,
  );
});

test('every type of the protocol passes', () => {
  const scan = scanOnnx(fixture('every-type'));
  assert.equal(scan.inputs.length, 13);
  assert.equal(refusal(scan), undefined);
});

test('bytes that are no model, cut off or damaged, end in an error that says so, never in a hang or a crash', () => {
  const model = fixture('fixed-batch');
  assert.throws(() => scanOnnx(Buffer.from('this is not a model')), /expected an ONNX model/);
  assert.throws(() => scanOnnx(Buffer.alloc(0)), /without a graph/);
  assert.throws(() => scanOnnx(model.subarray(0, model.length - 10)), /cut off/);
  let seed = 7;
  for (let round = 0; round < 300; round += 1) {
    const damaged = Buffer.from(model);
    for (let flip = 0; flip < 4; flip += 1) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      damaged[seed % damaged.length] = seed >>> 24;
    }
    try {
      scanOnnx(damaged);
    } catch (error) {
      assert.match((error as Error).message, /^expected /);
    }
  }
});
