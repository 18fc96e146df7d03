import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float32Text } from '../src/float-text.ts';

const textOf = (...values: number[]): string | undefined => float32Text(Float32Array.from(values));

test('the fewest digits that give the same FP32', () => {
  assert.equal(textOf(0.1, 0.3, 1 / 3, -2.5, 16777216, 123.456), '0.1,0.3,0.33333334,-2.5,16777216,123.456');
  assert.equal(textOf(0, -0, 1, -7, 1000000, 999999999), '0,0,1,-7,1000000,1000000000');
  assert.equal(textOf(0.999999, 0.9999999, 9.999999, 999999.9), '0.999999,0.9999999,9.999999,999999.9');
  assert.equal(textOf(1.5e-6, 1e-6, 1e-7, 2.5e-8, 1.2345678e-12), '0.0000015,1e-6,1e-7,2.5e-8,1.2345678e-12');
});

test('what lies outside the usual range reads back the same too', () => {
  const odd = Float32Array.of(1e-13, 1e-14, 2 ** -149, 2 ** -126, 3.4028235e38, -1e9, 1.5e9, 1e20, 8388607.5, 2 ** 23);
  assert.deepEqual(Float32Array.from(JSON.parse(`[${float32Text(odd)}]`)), odd);
});

test('each of 400,000 scattered bit patterns is a JSON number, reads back the same, and has at most nine digits', () => {
  const scattered = Uint32Array.from({ length: 200_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1)); // Fibonacci hashing
  // Half of them where scores and features lie; the others anywhere.
  const usual = Float32Array.from(scattered, (bits, i) => (bits / 2 ** 32 - 0.5) * 10 ** ((i % 20) - 13));
  for (const values of [new Float32Array(scattered.buffer), usual]) {
    const finite = values.filter((value) => Number.isFinite(value));
    const text = float32Text(finite) ?? '';
    assert.deepEqual(Float32Array.from(JSON.parse(`[${text}]`)), finite);
    const long = text.split(',').filter((number, i) => {
      const size = Math.abs(finite[i] as number);
      return size >= 1e-13 && size < 1e9 && number.replace(/e.*|[-.]/g, '').replace(/^0+/, '').length > 9;
    });
    assert.deepEqual(long, []);
  }
});

test('nothing, an empty text; NaN or infinity, none', () => {
  assert.equal(textOf(), '');
  for (const value of [Number.NaN, Infinity, -Infinity]) assert.equal(textOf(1, value, 2), undefined);
});
