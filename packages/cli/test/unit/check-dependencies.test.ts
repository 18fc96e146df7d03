import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstDifference, type LockedPackage } from '../../src/check-dependencies.ts';

const platform = { os: 'linux', cpu: 'x64' };
const lock = (packages: Record<string, LockedPackage>) => ({ packages });
const a = { 'node_modules/a': { version: '1.0.0' } };

test('the same packages fit; a workspace itself is not looked at', () => {
  assert.equal(firstDifference(lock({ ...a, 'packages/cli': { version: '9' } }), lock(a), platform), undefined);
});

test('a missing package, another version and a copy instead of a link do not fit', () => {
  assert.equal(firstDifference(lock(a), lock({}), platform), 'node_modules/a');
  assert.equal(firstDifference(lock(a), lock({ 'node_modules/a': { version: '1.0.1' } }), platform), 'node_modules/a');
  const link = { 'node_modules/@spillway/cli': { link: true } };
  assert.equal(
    firstDifference(lock(link), lock({ 'node_modules/@spillway/cli': {} }), platform),
    'node_modules/@spillway/cli',
  );
});

test("an optional package of another platform may be missing, this platform's may not", () => {
  const binary = (os: string, libc?: string[]) => ({
    [`node_modules/tool-${os}`]: { version: '1.0.0', optional: true, os: [os], cpu: ['x64'], ...(libc && { libc }) },
  });
  assert.equal(firstDifference(lock(binary('darwin')), lock({}), platform), undefined);
  assert.equal(firstDifference(lock(binary('linux', ['musl'])), lock({}), platform), undefined);
  assert.equal(firstDifference(lock(binary('linux', ['glibc'])), lock({}), platform), 'node_modules/tool-linux');
});
