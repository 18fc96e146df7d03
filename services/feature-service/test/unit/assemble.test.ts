import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Name, toName } from '@spillway/contracts/names';
import { assembleRows, DEFAULT, defaultRows, MISSING, PRESENT, pickRows, STALE } from '../../src/core/assemble.ts';
import type { FeatureView, SourceAnswer } from '../../src/core/feature-view.ts';

const NOW = 1_000_000;

const view: FeatureView = {
  view: toName('monthly', 'view') as Name,
  entity: 'client_id',
  version: 1,
  source: { kind: 'redis' },
  freshnessMs: 60_000,
  timeoutMs: 50,
  fields: [
    { name: 'balance', type: 'float', default: -1 },
    { name: 'months', type: 'int', default: 2 },
    { name: 'late', type: 'bool', default: 1 },
  ],
};

const row = (values: unknown[], ageMs: number | undefined = 0): SourceAnswer => ({
  values,
  version: 1,
  updatedMs: ageMs === undefined ? undefined : NOW - ageMs,
});

function assembled(...answers: SourceAnswer[]) {
  const block = assembleRows(view, answers, NOW);
  return { values: [...block.values], status: [...block.status] };
}

describe('assembling rows of a view', () => {
  it('gives present values as FP32, booleans as 1 and 0, in the order of the fields', () => {
    assert.deepEqual(assembled(row([1.5, 3, true]), row([0, -1, 0])), {
      values: [1.5, 3, 1, 0, -1, 0],
      status: [PRESENT, PRESENT, PRESENT, PRESENT, PRESENT, PRESENT],
    });
  });

  it('gives defaults marked missing for an entity that the source does not know', () => {
    assert.deepEqual(assembled('missing'), { values: [-1, 2, 1], status: [MISSING, MISSING, MISSING] });
  });

  it('gives the default marked missing for a field that the row does not have', () => {
    assert.deepEqual(assembled(row([1, undefined, null])), { values: [1, 2, 1], status: [PRESENT, MISSING, MISSING] });
  });

  it('keeps old values and marks them stale, exactly from the freshness on', () => {
    assert.deepEqual(assembled(row([1, 1, 1], 60_000)).status, [PRESENT, PRESENT, PRESENT]);
    assert.deepEqual(assembled(row([1, undefined, 1], 60_001)), { values: [1, 2, 1], status: [STALE, MISSING, STALE] });
  });

  it('takes a row without a time, and one from a clock that is ahead, as fresh', () => {
    assert.deepEqual(assembled(row([1, 1, 1], undefined)).status, [PRESENT, PRESENT, PRESENT]);
    assert.deepEqual(assembled(row([1, 1, 1], -5_000)).status, [PRESENT, PRESENT, PRESENT]);
  });

  it('never gives a value that is not of its type, nor one that FP32 cannot hold', () => {
    for (const bad of ['7', Number.NaN, Number.POSITIVE_INFINITY, 1e39, true, {}, []]) {
      assert.deepEqual(assembled(row([bad, 1, 1])), { values: [-1, 1, 1], status: [DEFAULT, PRESENT, PRESENT] });
    }
    assert.deepEqual(assembled(row([1, 1.5, 2])), { values: [1, 2, 1], status: [PRESENT, DEFAULT, DEFAULT] });
  });

  it('does not read what cannot be read, nor what another schema version wrote', () => {
    assert.deepEqual(assembled('unreadable').status, [DEFAULT, DEFAULT, DEFAULT]);
    assert.deepEqual(assembled({ values: [1, 1, 1], version: 2, updatedMs: NOW }).values, [-1, 2, 1]);
  });

  it('picks the rows of one caller out of a merged block, repeated ones too', () => {
    const block = assembleRows(view, [row([1, 1, 1]), 'missing', row([3, 3, 0])], NOW);
    const picked = pickRows(block, [2, 0, 2]);
    assert.deepEqual([...new Float32Array(picked.values.slice().buffer)], [3, 3, 0, 1, 1, 1, 3, 3, 0]);
    assert.deepEqual([...picked.status], new Array(9).fill(PRESENT));
  });

  it('makes default rows for a source that was not asked', () => {
    const block = defaultRows(view, 2);
    assert.deepEqual([...block.values], [-1, 2, 1, -1, 2, 1]);
    assert.deepEqual([...block.status], new Array(6).fill(DEFAULT));
  });
});
