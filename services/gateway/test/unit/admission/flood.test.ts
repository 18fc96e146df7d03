import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyRecord, Lever } from '@spillway/contracts/buckets';
import type { Candidate } from '../../../src/core/admission/types.ts';
import { model, offer, unread } from './fixtures.ts';
import { TinyMesh } from './tiny-mesh.ts';

const SEEDS = [1, 2];
const key = (over: Partial<KeyRecord>): KeyRecord => ({
  id: 'k',
  sha256: '',
  tenant: 't',
  class: 'standard',
  scopes: [],
  ...over,
});

for (const seed of SEEDS) {
  test(`at five times capacity what is admitted is what can be served (seed ${seed})`, () => {
    const mesh = new TinyMesh({ gateways: 3, seed });
    const streams = [0, 1, 2].map((gateway) => ({ load: 20 / 3, gateway, over: {} }));
    mesh.run(streams, 1_000);
    const before = mesh.served;
    mesh.run(streams, 4_000);
    const goodput = (mesh.served - before) / (4 * 4_000);
    assert.ok(goodput > 0.97, `served ${goodput} of capacity`);
    assert.ok(mesh.queues[1]! / 4 < 60, `a queue of ${mesh.queues[1]! / 4} ms`);
  });

  test(`light tenants lose nothing to one that wants fifty times as much (seed ${seed})`, () => {
    const mesh = new TinyMesh({ gateways: 3, seed });
    const light = Array.from({ length: 10 }, (_, n) => ({ load: 0.2, gateway: n % 3, over: { tenant: `light${n}` } }));
    const heavy = [0, 1, 2].map((gateway) => ({ load: 10 / 3, gateway, over: { tenant: 'heavy' } }));
    mesh.run(light, 1_000);
    const counts = mesh.run([...light, ...heavy], 4_000);
    const lost = counts.slice(0, 10).reduce((sum, { offered, admitted }) => sum + offered - admitted, 0);
    const lightOffered = counts.slice(0, 10).reduce((sum, { offered }) => sum + offered, 0);
    assert.ok(lost <= 0.002 * lightOffered, `${lost} of ${lightOffered} refused`);
    const heavyAdmitted = counts.slice(10).reduce((sum, { admitted }) => sum + admitted, 0) * (0.625 / 4_000);
    assert.ok(heavyAdmitted > 1.7 && heavyAdmitted < 2.3, `the heavy one got ${heavyAdmitted} of the 2 that are left`);
  });

  test(`tenants share by weight (seed ${seed})`, () => {
    const mesh = new TinyMesh({ gateways: 1, seed });
    mesh.gateways[0]!.setKey(key({ id: 'a', tenant: 'three', weight: 3 }));
    const streams = [
      { load: 10, gateway: 0, over: { tenant: 'three' } },
      { load: 10, gateway: 0, over: { tenant: 'one' } },
    ];
    mesh.run(streams, 1_000);
    const [three, one] = mesh.run(streams, 4_000);
    const ratio = three!.admitted / one!.admitted;
    assert.ok(ratio > 2.7 && ratio < 3.3, `3 to 1, got ${ratio}`);
  });

  test(`vip is never refused below capacity, whatever the others offer (seed ${seed})`, () => {
    const mesh = new TinyMesh({ gateways: 3, seed });
    const streams = [0, 1, 2].flatMap((gateway) => [
      { load: 3.2 / 3, gateway, over: { rank: 0, tenant: 'v' } },
      { load: 5, gateway, over: { rank: 1, tenant: 's' } },
      { load: 5, gateway, over: { rank: 2, tenant: 'b' } },
    ]);
    const counts = mesh.run(streams, 4_000);
    const refused = counts.filter((_, i) => i % 3 === 0).reduce((sum, c) => sum + c.offered - c.admitted, 0);
    assert.equal(refused, 0);
  });

  test(`bulk keeps its floor while vip and standard want everything (seed ${seed})`, () => {
    const mesh = new TinyMesh({ gateways: 3, seed });
    const streams = [0, 1, 2].flatMap((gateway) => [
      { load: 1, gateway, over: { rank: 0, tenant: 'v' } },
      { load: 3, gateway, over: { rank: 1, tenant: 's' } },
      { load: 2, gateway, over: { rank: 2, tenant: 'b' } },
    ]);
    mesh.run(streams, 2_000);
    const counts = mesh.run(streams, 6_000);
    const bulk = counts.filter((_, i) => i % 3 === 2).reduce((sum, { admitted }) => sum + admitted, 0);
    const share = (bulk * 0.625) / (6_000 * 4);
    assert.ok(share > 0.02 && share < 0.05, `bulk got ${share} of capacity`);
  });

  test(`three gateways enforce one quota within 2 %, however the traffic is split (seed ${seed})`, () => {
    const mesh = new TinyMesh({ gateways: 3, seed });
    for (const gateway of mesh.gateways) gateway.setKey(key({ quota: { requestsPerSecond: 400 } }));
    const streams = [7, 2, 1].map((load, gateway) => ({ load: 0.15 * load, gateway, over: { keyId: 'k' } }));
    mesh.run(streams, 6_000);
    const counts = mesh.run(streams, 10_000);
    const perSecond = counts.reduce((sum, { admitted }) => sum + admitted, 0) / 10;
    assert.ok(Math.abs(perSecond / 400 - 1) <= 0.02, `400 allowed, got ${perSecond}`);
  });

  test(`after a flood nobody is refused, and everything has decayed without traffic (seed ${seed})`, () => {
    const mesh = new TinyMesh({ gateways: 3, seed });
    const calm = [0, 1, 2].map((gateway) => ({ load: 0.9, gateway, over: {} }));
    const flood = calm.map((stream) => ({ ...stream, load: 7 }));
    mesh.run(flood, 3_000);
    mesh.run(calm, 1_000);
    const counts = mesh.run(calm, 3_000);
    assert.equal(
      counts.reduce((sum, { offered, admitted }) => sum + offered - admitted, 0),
      0,
    );
    mesh.run([], 15_000);
    assert.equal(mesh.gateways[0]?.effects.level, 0);
    assert.equal(mesh.gateways[0]?.busy('m', mesh.nowMs), false);
  });
}

test('thousands of tenants that come once in a while get no more together than there is', () => {
  const mesh = new TinyMesh({ gateways: 1, seed: 5 });
  const streams = Array.from({ length: 2_000 }, (_, n) => ({ load: 0.006, gateway: 0, over: { tenant: `t${n}` } }));
  mesh.run(streams, 2_000);
  const before = mesh.served;
  mesh.run(streams, 3_000);
  assert.ok((mesh.served - before) / (3_000 * 4) > 0.97);
  assert.ok(mesh.queues[1]! / 4 < 140, `a queue of ${mesh.queues[1]! / 4} ms`);
});

test('in a flood most requests are refused unread; vip, calm tenants and those the body may save are read', () => {
  const mesh = new TinyMesh({ gateways: 1, seed: 3 });
  const gateway = mesh.gateways[0]!;
  const calm = { load: 0.2, gateway: 0, over: { tenant: 'calm' } };
  const flood = { load: 20, gateway: 0, over: { tenant: 'wild' } };
  const read = (over: Partial<Candidate>): boolean => gateway.beforeBody(unread(over), mesh.nowMs) === undefined;
  mesh.run([calm], 1_000);
  assert.ok(read({ tenant: 'wild' }), 'nothing is congested');
  mesh.run([calm, flood], 3_000);
  for (let n = 0; n < 100 && read({ tenant: 'wild' }); n += 1) offer(gateway, mesh.nowMs, { tenant: 'wild' });
  const decision = gateway.beforeBody(unread({ tenant: 'wild' }), mesh.nowMs);
  assert.deepEqual([decision?.rung, decision?.code, decision?.reason], ['refused', 'OVERLOADED', 'fair_rate']);
  assert.ok((decision?.retryAfterMs ?? 0) > 0);
  assert.ok(read({ tenant: 'wild', rank: 0 }), 'vip');
  assert.ok(read({ tenant: 'calm' }), 'a tenant that takes less than its share');
  assert.ok(read({ tenant: 'wild', acceptsTicket: true }), 'a ticket may be had');
  gateway.setModel({ ...model, responseCache: { ttlMs: 1_000 } });
  assert.ok(read({ tenant: 'wild' }), 'the answer may be in the cache');
  assert.ok(gateway.beforeBody({ ...unread({ tenant: 'wild' }), noCache: true }, mesh.nowMs), 'it is not looked for');
  gateway.setModel({ ...model, degradeTo: ['lite'] });
  assert.ok(read({ tenant: 'wild' }), 'a lighter variant may fit');
  gateway.setModel(model);
  const lever: Lever = { id: 'l', kind: 'brake', model: 'other', rate: 1, createdAt: 0, expiresAt: 1e15, by: 'test' };
  gateway.setLevers([lever], 0, mesh.nowMs);
  assert.ok(read({ tenant: 'wild' }), 'a lever is set');
});
