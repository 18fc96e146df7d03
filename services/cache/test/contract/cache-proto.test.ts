import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CACHE_METHOD, cacheRequestCodec, cacheResponseCodec } from '@spillway/contracts/messages';
import { meshRoot } from '@spillway/contracts/protos';
import { decodeEntry, encodeEntry } from '../../src/core/entry.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('spillway.v1.Cache', () => {
  it('still decodes a request as it was first released', () => {
    // gets { id: 3 key: 0x0102 traceparent: "t" } puts { key: 0x03 value: 0x0405 ttl_ms: 30000 }
    const { gets, puts } = cacheRequestCodec.decode(hex('0a09 0803 12020102 1a0174 120b 0a0103 12020405 18b0ea01'));
    assert.deepEqual([gets[0]?.id, [...(gets[0]?.key ?? [])], gets[0]?.traceparent], [3, [1, 2], 't']);
    assert.deepEqual([[...(puts[0]?.key ?? [])], [...(puts[0]?.value ?? [])], puts[0]?.ttlMs], [[3], [4, 5], 30_000]);
  });

  it('still encodes an answer as it was first released', () => {
    const bytes = cacheResponseCodec.encode({
      results: [{ id: 3, hit: true, value: hex('0405'), ageMs: 7, tier: 'redis' }],
    });
    assert.equal(Buffer.from(bytes).toString('hex'), '0a110803' + '1001' + '1a020405' + '2007' + '2a057265646973');
  });

  it('is served at the path of the proto', () => {
    const service = meshRoot.lookupService('spillway.v1.Cache');
    assert.equal(CACHE_METHOD.path, `/spillway.v1.Cache/${service.methodsArray[0]?.name}`);
  });
});

describe('the value in Redis', () => {
  it('is still read as it was first released', () => {
    const released = hex('01452bfe5f000000c585317a42307500007631');
    const entry = decodeEntry('00'.repeat(32), released);
    assert.deepEqual(
      [entry && Buffer.from(entry.value).toString(), entry?.storedMs, entry?.ttlMs, entry?.staleMs],
      ['v1', 1_800_000_000_000, 30_000, 0],
    );
  });

  it('is read with the time for which it may be given stale', () => {
    const bytes = encodeEntry('00'.repeat(32), { value: hex('7631'), storedMs: 1, ttlMs: 30_000, staleMs: 5 });
    assert.equal(bytes.toString('hex', 0, 1) + bytes.toString('hex', 5), '02000000000000f03f30750000050000007631');
    assert.equal(decodeEntry('00'.repeat(32), bytes)?.staleMs, 5);
  });
});
