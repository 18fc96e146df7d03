import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Name, toName } from '@spillway/contracts/names';
import { assembleRows, DEFAULT, PRESENT } from '../../src/core/assemble.ts';
import type { FeatureView } from '../../src/core/feature-view.ts';
import { PendingFetch } from '../../src/core/pending-fetch.ts';

const viewOf = (name: string): FeatureView => ({
  view: toName(name, 'view') as Name,
  entity: 'client_id',
  version: 1,
  source: { kind: 'redis' },
  freshnessMs: 1_000,
  timeoutMs: 50,
  fields: [{ name: 'x', type: 'float', default: 9 }],
});
const [a, b] = [viewOf('a'), viewOf('b')];
const fetch = { id: 7, views: ['a', 'b'], entities: ['1', '2'], budgetMs: 10, traceparent: '' };
const block = assembleRows(
  a,
  [1, 2].map((x) => ({ values: [x], version: 1, updatedMs: undefined })),
  0,
);

describe('a fetch of several views', () => {
  it('is complete with its last view and answers them in the order asked', () => {
    const pending = new PendingFetch(fetch, [a, b]);
    pending.settle(1, block, [1, 0]);
    assert.equal(pending.isComplete, false);
    assert.throws(() => pending.answer(), /bug/);
    pending.settle(0, block, [0, 1]);
    assert.equal(pending.isComplete, true);
    const { id, views, errorCode } = pending.answer();
    assert.deepEqual([id, errorCode, views.map(({ view }) => view)], [7, '', ['a', 'b']]);
    assert.deepEqual([...new Float32Array(views[1]!.values.slice().buffer)], [2, 1]);
  });

  it('answers defaults for what has not come when the budget ends, and ignores what comes later', () => {
    const pending = new PendingFetch(fetch, [a, b]);
    pending.settle(0, block, [0, 1]);
    pending.settleRest();
    pending.settle(1, block, [0, 1]);
    const { views } = pending.answer();
    assert.deepEqual([...views[0]!.status], [PRESENT, PRESENT]);
    assert.deepEqual([...views[1]!.status], [DEFAULT, DEFAULT]);
    assert.deepEqual([...new Float32Array(views[1]!.values.slice().buffer)], [9, 9]);
  });
});
