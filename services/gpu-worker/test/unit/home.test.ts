import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseHomes } from '../../src/core/home.ts';

test('worker i of the sorted list belongs to batcher i mod n, and the next one is kept warm', () => {
  const batchers = ['b2', 'b1'];
  const workers = ['w3', 'w1', 'w2'];
  const homes = workers.toSorted().map((self) => chooseHomes({ batchers, workers, self }));
  assert.deepEqual(homes, [
    { home: 'b1', warm: 'b2' },
    { home: 'b2', warm: 'b1' },
    { home: 'b1', warm: 'b2' },
  ]);
});

test('the order in which leases arrive does not matter', () => {
  const one = chooseHomes({ batchers: ['a', 'b', 'c'], workers: ['x', 'y'], self: 'y' });
  const other = chooseHomes({ batchers: ['c', 'a', 'b'], workers: ['y', 'x'], self: 'y' });
  assert.deepEqual(one, other);
});

test('a worker whose own lease is not visible yet counts itself', () => {
  assert.deepEqual(chooseHomes({ batchers: ['b1', 'b2'], workers: ['w1'], self: 'w2' }), { home: 'b2', warm: 'b1' });
});

test('a single batcher is home and nobody is warm; without one there is no home', () => {
  assert.deepEqual(chooseHomes({ batchers: ['b1'], workers: [], self: 'w' }), { home: 'b1', warm: undefined });
  assert.deepEqual(chooseHomes({ batchers: [], workers: [], self: 'w' }), { home: undefined, warm: undefined });
});

test('every batcher gets its share of the workers', () => {
  const batchers = ['b1', 'b2', 'b3'];
  const workers = Array.from({ length: 9 }, (_, i) => `w${i}`);
  const count = new Map<string, number>();
  for (const self of workers) {
    const { home } = chooseHomes({ batchers, workers, self });
    count.set(home as string, (count.get(home as string) ?? 0) + 1);
  }
  assert.deepEqual([...count.values()], [3, 3, 3]);
});
