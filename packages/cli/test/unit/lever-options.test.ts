import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lever, ModelRecord } from '@spillway/contracts/buckets';
import { chooseLever } from '../../src/commands/release.ts';
import { CliError } from '../../src/context.ts';
import { durationOption, parseDuration, timeLeft } from '../../src/duration.ts';
import { describeLever, leverTable } from '../../src/levers/lever-lines.ts';
import { checkVariant, knownModel, newLeverId, readBrake, readFor, readScope } from '../../src/levers/lever-options.ts';

const refuses = (run: () => unknown, message: RegExp, exitCode = 2) =>
  assert.throws(
    run,
    (error) => error instanceof CliError && error.exitCode === exitCode && message.test(error.message),
  );
const lever = (over: object): Lever =>
  ({ id: 'brake-a', kind: 'brake', share: 0.5, createdAt: 0, expiresAt: 60_000, by: 'me@here', ...over }) as Lever;

test('a brake is a share of what is offered, or a rate', () => {
  assert.deepEqual(readBrake('50%'), { share: 0.5 });
  assert.deepEqual(readBrake('0%'), { share: 0 });
  assert.deepEqual(readBrake('12.5%'), { share: 0.125 });
  assert.deepEqual(readBrake('200'), { rate: 200 });
  assert.deepEqual(readBrake('0.5/s'), { rate: 0.5 });
  for (const text of ['100%', '150%', '-5', '5/m', 'half', '', '%']) refuses(() => readBrake(text), /brake: expected/);
});

test('a lever lasts 15 minutes unless told otherwise, at most a day', () => {
  assert.equal(readFor('brake', undefined), 900_000);
  assert.equal(readFor('brake', '24h'), 86_400_000);
  for (const text of ['25h', '2d', '1s', '10', 'm', '-1m']) refuses(() => readFor('brake', text), /--for: expected/);
});

test('times are read with a unit, and refused without', () => {
  assert.deepEqual(['90s', '10m', '2h', '30d'].map(parseDuration), [90_000, 600_000, 7_200_000, 2_592_000_000]);
  assert.deepEqual(['', '10', '1.5h', '10 m', 'm'].map(parseDuration), Array(5).fill(undefined));
  refuses(() => durationOption('keys', 'expires', '1s', { min: '1m', max: '2m' }), /from 1m to 2m, .* got "1s"/);
});

test('a lever is for everything, or for what is named', () => {
  assert.deepEqual(readScope('brake', {}), {});
  const scope = { class: 'bulk', tenant: 'acme', model: 'mlp' };
  assert.deepEqual(readScope('brake', { ...scope, for: '10m' }), scope);
  refuses(() => readScope('brake', { class: 'gold' }), /--class: expected one of vip, standard, bulk/);
  refuses(() => readScope('brake', { tenant: 'a b' }), /--tenant/);
});

test('an unknown model is refused with those that there are', () => {
  const models = new Map([['mlp', { model: 'mlp' } as ModelRecord]]);
  assert.equal(knownModel('mlp', models).model, 'mlp');
  assert.throws(
    () => knownModel('other', models),
    (error) => error instanceof CliError && error.advice.join() === 'Models: mlp',
  );
});

test('a model is degraded only to what its model.yaml allows', () => {
  const model = { model: 'intent', variants: [{ name: 'lite' }, { name: 'int8' }], degradeTo: ['lite'] } as ModelRecord;
  checkVariant(model, 'lite');
  refuses(() => checkVariant(model, 'int8'), /"int8", which its model.yaml does not allow/);
  refuses(() => checkVariant(model, 'fast'), /^intent cannot be degraded to "fast"$/);
  refuses(() => checkVariant({ model: 'mlp' } as ModelRecord, 'lite'), /mlp cannot be degraded/);
});

test('a lever is described by its effect and whom it is for', () => {
  assert.equal(describeLever(lever({})), 'brake to 50 % of what is offered, everything');
  assert.equal(
    describeLever(lever({ share: undefined, rate: 20, model: 'mlp', class: 'bulk', tenant: 'acme' })),
    'brake to 20 requests/s, model mlp, class bulk, tenant acme',
  );
  assert.equal(describeLever(lever({ kind: 'degrade', to: 'lite', model: 'intent' })), 'degrade to lite, model intent');
});

test('the table has what is left of each, the next to end first', () => {
  const [, first = '', second = ''] = leverTable([lever({ expiresAt: 900_000 }), lever({ id: 'brake-b' })], 1_000);
  assert.match(first, /^brake-b .* 59 s +me@here$/);
  assert.match(second, /^brake-a .* 15 min +me@here$/);
});

test('what is left is told in the unit that fits', () => {
  const left = [0, 1, 119_000, 600_000, 12_240_000, 2_592_000_000].map(timeLeft);
  assert.deepEqual(left, ['over', '1 s', '119 s', '10 min', '3.4 h', '30 d']);
});

test('without an id the only lever is released; of several, none', () => {
  assert.equal(chooseLever([lever({})], undefined).id, 'brake-a');
  const two = [lever({}), lever({ id: 'brake-b' })];
  assert.equal(chooseLever(two, 'brake-b').id, 'brake-b');
  refuses(() => chooseLever(two, undefined), /2 levers are pulled/);
  refuses(() => chooseLever(two, 'brake-c'), /no lever "brake-c"/, 1);
});

test('ids of levers are short, and part of a key of the bucket', () => {
  assert.match(newLeverId('brake'), /^brake-[a-z2-9]{5}$/);
});
