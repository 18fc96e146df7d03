import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRecord } from '@spillway/contracts/buckets';
import { CliError } from '../../src/context.ts';
import { checkVipPromise } from '../../src/keys/vip-promise.ts';

const key = (costPerSecond?: number, over: Partial<KeyRecord> = {}): KeyRecord => ({
  ...{ id: 'k', sha256: '', tenant: 't', class: 'vip', scopes: [] },
  ...(costPerSecond !== undefined && { quota: { costPerSecond } }),
  ...over,
});
const mlp = { model: 'mlp', capacity: 4, workers: 2 };

test('a vip quota that a model cannot keep without one worker is refused with the figures', () => {
  assert.throws(
    () => checkVipPromise(key(700), [key(1_000)], [mlp], 0),
    (error) => {
      assert.ok(error instanceof CliError);
      assert.equal(
        error.message,
        '--quota: 700 ms/s beside the 1,000 ms/s of the other vip keys is more than can be promised',
      );
      assert.deepEqual(error.advice, [
        'mlp: at most 1,600 ms/s (80 % of the 2,000 ms/s that it can do without one of its 2 workers), would be promised 1,700 ms/s',
      ]);
      return true;
    },
  );
});

test('a vip quota that every model can keep is accepted without a word', () => {
  assert.deepEqual(checkVipPromise(key(600), [key(1_000)], [mlp], 0), []);
});

test('with one worker the quota is accepted, and its owner told what it is not worth', () => {
  const notes = checkVipPromise(key(700), [], [{ model: 'mlp', capacity: 1, workers: 1 }], 0);
  assert.deepEqual(notes, ['Served by one worker, so nothing is promised while it is lost: mlp']);
});

test('a vip key without a quota, and a quota that nobody could check, are told', () => {
  assert.match(checkVipPromise(key(), [], [mlp], 0).join(), /no --quota/);
  assert.match(checkVipPromise(key(700), [], [], 0).join(), /was not checked/);
});

test('keys of other classes promise nothing', () => {
  assert.deepEqual(checkVipPromise(key(9_000, { class: 'standard' }), [], [mlp], 0), []);
});
