import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { MemoryTier } from '../../src/adapters/memory-tier.ts';

function newTier(maxBytes = 100_000) {
  const clock = new ManualClock();
  const evicted = { count: 0 };
  const tier = new MemoryTier({
    maxBytes,
    clock,
    onEvict: () => {
      evicted.count += 1;
    },
  });
  const put = (key: string, bytes: number, ttlMs = 1_000) =>
    tier.set(key, { value: new Uint8Array(bytes), storedMs: 0, ttlMs, staleMs: 0 }, ttlMs);
  return { clock, evicted, tier, put };
}

describe('the memory tier', () => {
  it('keeps an entry for its own time by our clock, to the millisecond', () => {
    const { clock, tier, put } = newTier();
    put('short', 10, 100);
    put('long', 10, 200);
    clock.advance(100);
    assert.ok(tier.get('short'));
    clock.advance(1);
    assert.equal(tier.get('short'), undefined);
    assert.ok(tier.get('long'));
  });

  it('never holds more bytes than its bound, and lets the least recently used go first', () => {
    const { tier, put, evicted } = newTier(10_000);
    for (const key of ['a', 'b', 'c']) put(key, 2_500);
    tier.get('a');
    put('d', 2_500);
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((key) => tier.get(key) !== undefined),
      [true, false, true, true],
    );
    assert.equal(evicted.count, 1);
    let seed = 3;
    for (let i = 0; i < 2_000; i += 1) {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      put(`k${seed % 300}`, seed % 4_000, 1 + (seed % 50));
      assert.ok(tier.bytes <= 10_000);
    }
  });

  it('does not keep a value that is larger than all of it, and throws nothing else out for it', () => {
    const { tier, put } = newTier(10_000);
    put('small', 100);
    put('huge', 10_001);
    assert.equal(tier.get('huge'), undefined);
    assert.ok(tier.get('small'));
  });

  it('counts an entry that was replaced once', () => {
    const { tier, put, evicted } = newTier();
    put('a', 100);
    const bytes = tier.bytes;
    put('a', 200);
    assert.deepEqual([tier.bytes - bytes, tier.count, evicted.count], [100, 1, 0]);
  });
});
