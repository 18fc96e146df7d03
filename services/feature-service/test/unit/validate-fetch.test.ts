import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FeatureFetch } from '@spillway/contracts/messages';
import type { FeatureView } from '../../src/core/feature-view.ts';
import { checkFetch } from '../../src/core/validate-fetch.ts';

const served = (fields: number) => ({ view: { fields: new Array(fields).fill({}) } as unknown as FeatureView });
const views = new Map([
  ['monthly', served(3)],
  ['profile', served(2)],
]);
const limits = { maxEntities: 4, maxViews: 2, maxValues: 16 };

const check = (overrides: Partial<FeatureFetch>) => {
  const fetch = { id: 1, views: ['monthly'], entities: ['1'], budgetMs: 10, traceparent: '', ...overrides };
  const fault = checkFetch(fetch, views, limits);
  return fault && `${fault.code} ${fault.message}`;
};

describe('checking a fetch', () => {
  it('takes one within the limits', () => {
    assert.equal(check({ views: ['monthly', 'profile'], entities: ['1', 'a-b_C'] }), undefined);
  });

  it('names the view that is not served', () => {
    assert.equal(
      check({ views: ['monthly', 'nope'] }),
      'NOT_FOUND views[1]: expected a view that is served here (monthly, profile)',
    );
  });

  it('refuses entities that could become another key, without repeating them', () => {
    for (const entity of ['', 'a b', 'a:b', '{a}', 'a*', 'ä', 'x'.repeat(65), 'a\r\nb']) {
      assert.equal(
        check({ entities: ['ok', entity] }),
        'INVALID_REQUEST entities[1]: expected 1 to 64 letters, digits, "_" or "-"',
      );
    }
  });

  it('refuses nothing to do, and more than one round trip or one answer may hold', () => {
    assert.equal(check({ views: [] }), 'INVALID_REQUEST views: expected at least one');
    assert.equal(check({ entities: [] }), 'INVALID_REQUEST entities: expected at least one');
    assert.equal(
      check({ views: ['monthly', 'monthly', 'monthly'] }),
      'PAYLOAD_TOO_LARGE views: expected at most 2, got 3',
    );
    assert.equal(
      check({ entities: ['1', '2', '3', '4', '5'] }),
      'PAYLOAD_TOO_LARGE entities: expected at most 4, got 5',
    );
    assert.equal(
      check({ views: ['monthly', 'profile'], entities: ['1', '2', '3', '4'] }),
      'PAYLOAD_TOO_LARGE values: expected at most 16, got 20',
    );
  });
});
