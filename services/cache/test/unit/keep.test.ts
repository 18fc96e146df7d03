import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hexKey, keepFor } from '../../src/core/keep.ts';

const key = new Uint8Array(32).fill(0xab);
const rules = { maxValueBytes: 100, maxTtlMs: 10_000, jitter: 0.1, random: () => 0.5 };
const put = { key, value: new Uint8Array(100), ttlMs: 1_000 };

describe('what is kept', () => {
  it('is kept for its time, spread by the jitter either way', () => {
    assert.deepEqual(keepFor(put, rules), { ttlMs: 1_000, staleMs: 0 });
    assert.deepEqual(keepFor(put, { ...rules, random: () => 0 }), { ttlMs: 900, staleMs: 0 });
    assert.deepEqual(keepFor(put, { ...rules, random: () => 0.999_999 }), { ttlMs: 1_100, staleMs: 0 });
  });

  it('is cut to the longest time, and never shorter than 1 ms', () => {
    assert.deepEqual(keepFor({ ...put, ttlMs: 4_294_967_295 }, rules), { ttlMs: 10_000, staleMs: 0 });
    assert.deepEqual(keepFor({ ...put, ttlMs: 1 }, { ...rules, jitter: 0.5, random: () => 0 }), {
      ttlMs: 1,
      staleMs: 0,
    });
  });

  it('stays for callers that allow stale entries, no longer than the longest time in all', () => {
    assert.deepEqual(keepFor({ ...put, staleMs: 500 }, rules), { ttlMs: 1_000, staleMs: 500 });
    assert.deepEqual(keepFor({ ...put, staleMs: 60_000 }, rules), { ttlMs: 1_000, staleMs: 9_000 });
  });

  it('has a key of 32 bytes, a time and at most the largest size', () => {
    assert.deepEqual(keepFor({ ...put, key: key.subarray(1) }, rules), { refused: 'key' });
    assert.deepEqual(keepFor({ ...put, ttlMs: 0 }, rules), { refused: 'ttl' });
    assert.deepEqual(keepFor({ ...put, value: new Uint8Array(101) }, rules), { refused: 'too_large' });
  });

  it('has its key in Redis as hex, also when it is a view', () => {
    assert.equal(hexKey(new Uint8Array([0, 1, 0xfe, 3]).subarray(1, 3)), '01fe');
  });
});
