import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheKey } from '../../src/core/cache-key.ts';
import { fp32 } from './fixtures.ts';

const base = {
  tenant: 'a',
  model: 'm',
  version: '1',
  loadedBy: '',
  variant: '',
  inputs: [fp32('x', [1, 2], [1, 2]), fp32('z', [1], [3])],
};
const hex = (over: object = {}) => Buffer.from(cacheKey({ ...base, ...over })).toString('hex');

test('equal inputs have equal keys, in whatever order they came', () => {
  assert.equal(hex(), hex({ inputs: [...base.inputs].reverse() }));
});

test('every part tells answers apart, and parts cannot flow into each other', () => {
  const others = [
    { tenant: 'b' },
    { model: 'n' },
    { version: '2' },
    { loadedBy: 'command-1' },
    { variant: 'int8' },
    { tenant: 'a:m', model: '' },
    { inputs: [fp32('x', [2, 1], [1, 2]), fp32('z', [1], [3])] },
    { inputs: [fp32('x', [1, 2], [1, 2.5]), fp32('z', [1], [3])] },
  ];
  const keys = new Set([hex(), ...others.map(hex)]);
  assert.equal(keys.size, others.length + 1);
});
