import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ageMs, decodeEntry, encodeEntry, remainingMs } from '../../src/core/entry.ts';

const KEY = 'ab'.repeat(32);
const entry = { value: Buffer.from('the answer'), storedMs: 1_795_000_000_000.5, ttlMs: 60_000, staleMs: 30_000 };

describe('an entry in Redis', () => {
  it('comes back as it was written', () => {
    const decoded = decodeEntry(KEY, encodeEntry(KEY, entry));
    assert.deepEqual({ ...decoded, value: Buffer.from(decoded?.value ?? []) }, entry);
    assert.equal(decodeEntry(KEY, encodeEntry(KEY, { ...entry, value: new Uint8Array(0) }))?.value.length, 0);
  });

  it('is no entry when any one bit of it flipped', () => {
    const bytes = encodeEntry(KEY, entry);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(decodeEntry(KEY, flipped), undefined, `bit ${bit}`);
    }
  });

  it('is no entry when it was cut, under another key, or never one', () => {
    const bytes = encodeEntry(KEY, entry);
    for (let length = 0; length < bytes.length; length += 1) {
      assert.equal(decodeEntry(KEY, bytes.subarray(0, length)), undefined, `${length} bytes`);
    }
    assert.equal(decodeEntry('cd'.repeat(32), bytes), undefined);
    assert.equal(decodeEntry(KEY, Buffer.from('hello, this is not an entry at all')), undefined);
  });

  it('is never younger than 0 ms, whatever the clock of its writer said', () => {
    assert.equal(ageMs(entry, entry.storedMs + 10), 10);
    assert.equal(ageMs(entry, entry.storedMs - 5_000), 0);
    assert.equal(remainingMs(entry, entry.storedMs + 89_999), 1);
    assert.equal(remainingMs(entry, entry.storedMs - 5_000), 90_000);
  });
});
