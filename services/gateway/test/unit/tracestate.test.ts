import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTracestate } from '../../src/core/tracestate.ts';

test('a list is carried as it came, without spaces between its members and without empty ones', () => {
  assert.equal(readTracestate('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'), 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE');
  assert.equal(readTracestate(' a=1 ,, b@vendor=x y; z '), 'a=1,b@vendor=x y; z');
  const longest = `a=${'x'.repeat(256)},b=${'y'.repeat(251)}`;
  assert.equal(readTracestate(longest), longest);
  for (const none of [undefined, '', ' ', ',']) assert.equal(readTracestate(none), '');
});

const MALFORMED: [what: string, text: string][] = [
  ['no value', 'a'],
  ['an empty value', 'a='],
  ['an empty key', '=1'],
  ['a key in upper case', 'Vendor=1'],
  ['a key that begins with a digit', '1a=1'],
  ['a value with an equals sign', 'a=b=c'],
  ['a value that is not ASCII', 'a=ü'],
  ['a value with a control character', 'a=b\u0007'],
  ['a key twice', 'a=1,b=2,a=3'],
  ['a value that is too long', `a=${'x'.repeat(257)}`],
  ['more than 32 members', Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(',')],
  ['more than 512 characters', Array.from({ length: 30 }, (_, i) => `k${i}=${'x'.repeat(20)}`).join(',')],
];

for (const [what, text] of MALFORMED) {
  test(`a list with ${what} is dropped as a whole, and fails nothing`, () => {
    assert.equal(readTracestate(text), '');
  });
}
