import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../src/context.ts';
import { keyFromOptions, newKeyId } from '../../src/keys/key-options.ts';
import { keyTable } from '../../src/keys/key-table.ts';

const wanted = { tenant: 'acme', class: 'vip' };
const refuses = (over: object, message: RegExp) =>
  assert.throws(
    () => keyFromOptions({ ...wanted, ...over }, 'k1', 0),
    (error) => error instanceof CliError && error.exitCode === 2 && message.test(error.message),
    JSON.stringify(over),
  );

test('a key needs a tenant and a class; everything else has a default or is left out', () => {
  assert.deepEqual(keyFromOptions(wanted, 'k1', 5), {
    ...{ id: 'k1', tenant: 'acme', class: 'vip', scopes: ['infer', 'jobs', 'events'], createdAt: 5 },
  });
});

test('every option finds its place in the record', () => {
  const options = {
    quota: '500',
    rate: '20.5',
    weight: '2',
    'over-quota': 'lower',
    expires: '30d',
    scopes: 'infer,jobs',
  };
  assert.deepEqual(keyFromOptions({ ...wanted, ...options }, 'k1', 1_000), {
    ...{ id: 'k1', tenant: 'acme', class: 'vip', scopes: ['infer', 'jobs'], createdAt: 1_000 },
    ...{ quota: { costPerSecond: 500, requestsPerSecond: 20.5 }, weight: 2, overQuota: 'lower' },
    expiresAt: 1_000 + 30 * 86_400_000,
  });
});

test('what does not fit is refused by the name of its option', () => {
  refuses({ tenant: 'a.b' }, /--tenant/);
  refuses({ tenant: undefined }, /--tenant/);
  refuses({ class: 'gold' }, /--class: expected one of vip, standard, bulk, got "gold"/);
  refuses({ quota: '0' }, /--quota/);
  refuses({ quota: '1e3' }, /--quota/);
  refuses({ rate: '-5' }, /--rate/);
  refuses({ weight: 'x' }, /--weight/);
  refuses({ expires: '30' }, /--expires/);
  refuses({ scopes: 'infer,write' }, /--scopes: expected of infer, jobs, events, admin/);
  refuses({ scopes: '' }, /--scopes/);
  refuses({ 'over-quota': 'raise', quota: '5' }, /--over-quota: expected refuse or lower/);
});

test('what happens beyond a quota needs a quota, and only a vip key can go on lower', () => {
  refuses({ 'over-quota': 'refuse' }, /expected --quota or --rate/);
  refuses({ class: 'bulk', rate: '5', 'over-quota': 'lower' }, /expected --class vip/);
});

test('ids of new keys are letters and digits, and differ', () => {
  const ids = new Set(Array.from({ length: 1_000 }, newKeyId));
  assert.equal(ids.size, 1_000);
  for (const id of ids) assert.match(id, /^[a-z0-9]{12}$/);
});

test('the list shows what a key may, and nothing of its hash', () => {
  const record = { ...keyFromOptions({ ...wanted, quota: '500', expires: '2h' }, 'k1', 0), sha256: 'ab'.repeat(32) };
  const [, row = ''] = keyTable([record], 0);
  assert.match(row, /^k1\s+k1\s+acme\s+vip\s+500\s+-\s+refuse\s+1\s+infer,jobs,events\s+2\.0 h\s+1970-01-01 00:00$/);
});
