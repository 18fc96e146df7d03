import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { KEYS, LEVERS, type Lever } from '@spillway/contracts/buckets';
import { auditSubject } from '@spillway/contracts/subjects';
import { wallClock } from '@spillway/lifecycle/clock';
import { REPO } from '@spillway/testing/find-binary';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { watchKeys } from '../../src/adapters/key-store.ts';
import { watchLevers } from '../../src/adapters/lever-store.ts';
import { KeyRing } from '../../src/core/identity.ts';

let nats: TestServer;
let bus: Bus;
const home = mkdtempSync(join(tmpdir(), 'spillway-keys-'));
const refused = { code: 'UNAUTHENTICATED' };

before(async () => {
  nats = await startNatsServer();
  bus = await connectBus({ url: nats.url, service: 'gateway', instance: 'gateway-1' });
});

after(async () => {
  await bus.drain();
  await nats.stop();
  rmSync(home, { recursive: true, force: true });
});

/** The command as a person types it, against this test's NATS. Resolves with what it printed. */
function spillway(...args: string[]): Promise<string> {
  const main = join(REPO, 'packages', 'cli', 'src', 'main.ts');
  const env = { PATH: process.env['PATH'], NATS_URL: nats.url, SPILLWAY_HOME: home };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [main, ...args], { env, timeout: 30_000 }, (error, out, err) =>
      error ? reject(new Error(err)) : resolve(out.trim()),
    );
  });
}

/** Resolves with the next value that fits. */
class Events<T> {
  #waiting: { fits(value: T): boolean; resolve(value: T): void } | undefined;
  readonly seen: T[] = [];

  push(value: T): void {
    this.seen.push(value);
    if (this.#waiting?.fits(value)) this.#waiting.resolve(value);
  }

  next(fits: (value: T) => boolean): Promise<T> {
    return new Promise((resolve) => {
      this.#waiting = { fits, resolve };
    });
  }
}

test('a key is accepted as soon as it is created and refused as soon as it is revoked, and both are on record', async () => {
  const ring = new KeyRing([], { allowAnonymous: false, epochMs: wallClock.epochMs });
  const changes = new Events<string>();
  const records: string[] = [];
  const subscription = bus.subscribe(auditSubject('key'), ({ payload }) =>
    records.push(Buffer.from(payload).toString()),
  );
  const watch = watchKeys(bus, {
    onKey: (record) => {
      ring.set(record);
      changes.push(`set ${record.id}`);
    },
    onGone: (id) => {
      ring.remove(id);
      changes.push(`gone ${id}`);
    },
  });
  await watch.loaded;
  const created = changes.next((change) => change.startsWith('set'));
  const key = await spillway('keys', 'create', '--tenant', 'acme', '--class', 'bulk', '--rate', '50');
  const id = (await created).slice('set '.length);
  assert.match(key, new RegExp(`^sk_${id}_[0-9A-Za-z]{43}$`));
  const scopes = ['infer', 'jobs', 'events'];
  assert.deepEqual(ring.identify(`Bearer ${key}`), { tenant: 'acme', trafficClass: 'bulk', keyId: id, scopes });
  assert.deepEqual(ring.records()[0]?.quota, { requestsPerSecond: 50 });

  const revoked = changes.next((change) => change === `gone ${id}`);
  await spillway('keys', 'revoke', id);
  await revoked;
  assert.throws(() => ring.identify(`Bearer ${key}`), refused);

  assert.deepEqual(
    records.map((text) => (JSON.parse(text) as { action: string }).action),
    ['create', 'revoke'],
  );
  const secret = key.split('_')[2] as string;
  for (const text of records) {
    assert.match(text, /"by":"[^"@]+@[^"]+"/);
    assert.ok(!text.includes(secret) && !text.includes('sha256'), 'a record holds nothing of the secret');
  }
  watch.stop();
  subscription.stop();
});

test('a rotated key works beside its successor until its overlap is over', async () => {
  const ring = new KeyRing([], { allowAnonymous: false, epochMs: wallClock.epochMs });
  const changes = new Events<string>();
  const watch = watchKeys(bus, {
    onKey: (record) => {
      ring.set(record);
      changes.push(record.expiresAt === undefined ? record.id : `${record.id} ends`);
    },
    onGone: (id) => ring.remove(id),
  });
  await watch.loaded;
  const made = changes.next((change) => !change.endsWith(' ends'));
  const oneEnds = () => changes.next((change) => change.endsWith(' ends'));
  const old = await spillway('keys', 'create', '--tenant', 'turn', '--class', 'standard');
  const id = await made;
  const ended = oneEnds();
  const next = await spillway('keys', 'rotate', id, '--overlap', '1h');
  await ended;
  assert.equal(ring.identify(`Bearer ${old}`).keyId, id);
  const { tenant, trafficClass, keyId } = ring.identify(`Bearer ${next}`);
  assert.deepEqual([tenant, trafficClass], ['turn', 'standard']);
  assert.equal(ring.records().find((record) => record.id === keyId)?.family, id);
  const again = oneEnds();
  await spillway('keys', 'rotate', keyId, '--overlap', '0s');
  await again;
  assert.throws(() => ring.identify(`Bearer ${next}`), { ...refused, reason: 'key_expired' });
  watch.stop();
});

test('an entry that is no key is told, and takes the key of its id away', async () => {
  const ring = new KeyRing([], { allowAnonymous: false, epochMs: wallClock.epochMs });
  const key = await spillway('keys', 'create', '--tenant', 'acme', '--class', 'standard');
  const id = key.split('_')[1] as string;
  const changes = new Events<string>();
  const watch = watchKeys(bus, {
    onKey: (record) => ring.set(record),
    onGone: (gone) => {
      ring.remove(gone);
      changes.push(gone);
    },
    onFault: (_, error) => changes.push(error.message),
  });
  await watch.loaded;
  assert.equal(ring.identify(`Bearer ${key}`).keyId, id);
  const gone = changes.next((change) => change === id);
  await openBucket<object>(bus, KEYS).put(id, { id, tenant: 'acme', class: 'vip', sha256: 'none' });
  await gone;
  assert.ok(changes.seen.includes(`${id}.sha256: expected 64 hex digits`));
  assert.throws(() => ring.identify(`Bearer ${key}`), refused);
  watch.stop();
});

test('a lever is there as soon as it is pulled, and gone as soon as it is released', async () => {
  const states = new Events<readonly Lever[]>();
  const watch = watchLevers(bus, { wallClock, onLevers: (levers) => states.push(levers) });
  await watch.loaded;
  const pulled = states.next((levers) => levers.length === 1);
  const said = await spillway('brake', '25%', '--class', 'bulk', '--tenant', 'acme', '--for', '10m');
  const [lever] = await pulled;
  assert.ok(lever?.kind === 'brake');
  assert.deepEqual([lever.share, lever.class, lever.tenant, lever.model], [0.25, 'bulk', 'acme', undefined]);
  assert.equal(lever.expiresAt - lever.createdAt, 600_000);
  assert.ok(said.startsWith(`${lever.id}: brake to 25 % of what is offered, class bulk, tenant acme`));
  const released = states.next((levers) => levers.length === 0);
  await spillway('release', lever.id);
  await released;
  watch.stop();
});

test('a lever that is over has no effect, and is taken out of the bucket', async () => {
  let nowMs = 10_000;
  const bucket = openBucket<Lever>(bus, LEVERS);
  const deleted = Promise.withResolvers<void>();
  const entries = bucket.watch((id, lever) => id === 'brake-old' && lever === undefined && deleted.resolve());
  await entries.loaded;
  const states = new Events<readonly Lever[]>();
  const watch = watchLevers(bus, { wallClock: { epochMs: () => nowMs }, onLevers: (levers) => states.push(levers) });
  const pulled = states.next((levers) => levers.length === 1);
  await bucket.put('brake-old', {
    ...{ id: 'brake-old', kind: 'brake', rate: 5, by: 'me@here' },
    createdAt: 9_000,
    expiresAt: 10_020,
  });
  await pulled;
  const over = states.next((levers) => levers.length === 0);
  nowMs = 10_020;
  await over;
  await deleted.promise;
  assert.equal(await bucket.get('brake-old'), undefined);
  watch.stop();
  entries.stop();
});
