import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { KEYS, type KeyRecord, LEVERS, type Lever, MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { loadStateCodec } from '@spillway/contracts/messages';
import { auditSubject, loadSubject } from '@spillway/contracts/subjects';
import { freePort } from '@spillway/testing/free-port';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { run as brake } from '../../src/commands/brake.ts';
import { run as degrade } from '../../src/commands/degrade.ts';
import { run as keys } from '../../src/commands/keys.ts';
import { run as release } from '../../src/commands/release.ts';
import { CliError, type Context } from '../../src/context.ts';
import { readLevers } from '../../src/levers/lever-bucket.ts';
import { readBucket } from '../../src/mesh-bus.ts';

const home = mkdtempSync(join(tmpdir(), 'spillway-on-call-'));
let nats: TestServer;
let bus: Bus;

before(async () => {
  nats = await startNatsServer();
  bus = await connectBus({ url: nats.url, service: 'batcher', instance: 'batcher-1' });
  const model = { model: 'intent', degradeTo: ['lite'] } as ModelRecord;
  await openBucket<ModelRecord>(bus, MODELS).put('intent', model);
});

after(async () => {
  await bus.drain();
  await nats.stop();
  rmSync(home, { recursive: true, force: true });
});

type Command = (context: Context, argv: string[]) => Promise<number>;

/** Runs a command in this process; resolves with what it printed, line by line. */
async function type(command: Command, line: string, url = nats.url): Promise<string[]> {
  const printed: string[] = [];
  const print = (text: string) => printed.push(text);
  const context = { env: { NATS_URL: url }, dataDir: home, print, say: print } as unknown as Context;
  assert.equal(await command(context, line.split(' ')), 0);
  return printed;
}

const failsWith = (running: Promise<unknown>, message: RegExp, advice = /./) =>
  assert.rejects(running, (error) => {
    assert.ok(error instanceof CliError, String(error));
    assert.match(error.message, message);
    assert.match(error.advice.join('\n'), advice);
    return true;
  });

/** What a batcher says of its model while its instances stand idle. */
function loadOf(capacity: number): Uint8Array {
  const batcher = {
    ...{ backlog: [], capacityRaw: capacity, capacity, healthy: capacity, suspect: 0, runTimes: [] },
    ...{ operatingRows: 8, fill: 1, costPerRow: 1, hopMs: 1 },
  };
  return loadStateCodec.encode({ instance: 'batcher-1', epoch: 1, seq: 1, sentMs: 0, level: 0, batcher });
}

test('a vip quota beyond what a model can do is refused with the figures, one within it is kept', async () => {
  const said = setInterval(() => bus.publish(loadSubject('intent'), loadOf(2)), 50);
  try {
    await failsWith(
      type(keys, 'create --tenant acme --class vip --quota 1700'),
      /1,700 ms\/s beside the 0 ms\/s of the other vip keys/,
      /intent: at most 1,600 ms\/s .* would be promised 1,700 ms\/s/,
    );
    assert.equal((await readBucket<KeyRecord>(bus, KEYS)).size, 0);
    const [key = ''] = await type(keys, 'create --tenant acme --class vip --quota 1000 --over-quota lower');
    const record = (await readBucket<KeyRecord>(bus, KEYS)).get(key.split('_')[1] ?? '');
    assert.deepEqual([record?.quota, record?.overQuota], [{ costPerSecond: 1_000 }, 'lower']);
    await failsWith(type(keys, 'create --tenant other --class vip --quota 700'), /beside the 1,000 ms\/s/);
  } finally {
    clearInterval(said);
  }
});

test('keys are listed without their hashes, and one that is not there cannot be revoked', async () => {
  const [key = ''] = await type(keys, 'create --tenant shop --class bulk --expires 2h --json');
  const { id } = JSON.parse(key) as { id: string };
  const [listed = ''] = await type(keys, 'list --json');
  assert.ok(listed.includes(id) && !listed.includes('sha256'));
  assert.ok((await type(keys, 'list')).some((line) => line.startsWith(id) && line.includes('shop')));
  await type(keys, `revoke ${id}`);
  await failsWith(type(keys, `revoke ${id}`), new RegExp(`there is no key "${id}"`), /keys list/);
});

test('a key is rotated: a new secret for the same record, an end for the old one, and both are in the list', async () => {
  const [made = ''] = await type(keys, 'create --tenant turn --class bulk --rate 50 --scopes infer');
  const old = made.split('_')[1] as string;
  const audited = Promise.withResolvers<Record<string, unknown>>();
  const subscription = bus.subscribe(auditSubject('key'), ({ payload }) =>
    audited.resolve(JSON.parse(`${Buffer.from(payload)}`)),
  );
  const [key = '', once = '', until = ''] = await type(keys, `rotate ${old} --overlap 2h`);
  const next = key.split('_')[1] as string;
  assert.match(once, /only time that the key is shown/);
  assert.equal(until, `${old} works for 2.0 h more; both share one quota.`);
  const records = await readBucket<KeyRecord>(bus, KEYS);
  const { sha256: _, createdAt: __, expiresAt, ...before } = records.get(old) as KeyRecord;
  const { sha256, createdAt, ...after } = records.get(next) as KeyRecord;
  assert.deepEqual(after, { ...before, id: next, family: old });
  assert.equal(
    sha256,
    createHash('sha256')
      .update(key.split('_')[2] as string)
      .digest('hex'),
  );
  assert.equal(expiresAt, (createdAt as number) + 2 * 3_600_000);
  const record = await audited.promise;
  assert.equal(record['action'], 'rotate');
  assert.ok(!JSON.stringify(record).includes('sha256'), 'a record holds nothing of the secrets');
  const listed = (await type(keys, 'list')).filter((line) => line.includes(' turn '));
  assert.deepEqual(
    listed.map((line) => line.split(/ +/).slice(0, 2)),
    [
      [old, old],
      [next, old],
    ],
  );
  await failsWith(type(keys, `rotate ${old}`), /was rotated to/, new RegExp(`keys rotate ${next}`));
  await failsWith(type(keys, 'rotate nobody'), /there is no key "nobody"/);
  await failsWith(type(keys, `rotate ${next} --class vip`), /--class is no option/);
  await failsWith(type(keys, `create --tenant a --class vip --overlap 1h`), /--overlap is no option/);
  subscription.stop();
});

test('a lever names a model and a variant that there are, or is not pulled', async () => {
  await failsWith(type(brake, '50% --model other'), /there is no model "other"/, /Models: intent/);
  await failsWith(type(degrade, 'intent --to int8'), /cannot be degraded to "int8"/, /degraded to: lite/);
  assert.deepEqual(await readLevers(bus, Date.now()), []);
});

test('levers are pulled and released, and each is on record with who did it', async () => {
  const records: { action: string; by: string; levers: Lever[] }[] = [];
  const three = Promise.withResolvers<void>();
  const subscription = bus.subscribe(auditSubject('lever'), ({ payload }) => {
    records.push(JSON.parse(Buffer.from(payload).toString()));
    if (records.length === 3) three.resolve();
  });
  await type(brake, '200 --class bulk --for 10m');
  await type(degrade, 'intent --to lite');
  const pulled = await readLevers(bus, Date.now());
  assert.deepEqual(pulled.map(({ kind }) => kind).sort(), ['brake', 'degrade']);
  await failsWith(type(release, 'brake-nobody'), /there is no lever/, /degrade to lite +model intent +15 min/);
  await type(release, '--all');
  assert.deepEqual(await readLevers(bus, Date.now()), []);
  await three.promise;
  assert.deepEqual(
    records.map(({ action, levers }) => [action, levers.length]),
    [
      ['brake', 1],
      ['degrade', 1],
      ['release', 2],
    ],
  );
  for (const { by } of records) assert.match(by, /^[^@]+@.+$/);
  subscription.stop();
});

test('a lever that is over is no longer shown, and whoever looks takes it out', async () => {
  const bucket = openBucket<Lever>(bus, LEVERS);
  await bucket.put('brake-old', { id: 'brake-old', kind: 'brake', rate: 1, by: 'x', createdAt: 0, expiresAt: 1_000 });
  assert.deepEqual(await readLevers(bus, 1_000), []);
  assert.equal(await bucket.get('brake-old'), undefined);
});

test('without a mesh, and with one that does not answer, a command says so', async () => {
  await failsWith(type(release, '--all', ''), /no mesh is running/, /spillway up/);
  const url = `nats://127.0.0.1:${await freePort()}`;
  await failsWith(type(release, '--all', url), /does not answer/, /spillway status/);
});
