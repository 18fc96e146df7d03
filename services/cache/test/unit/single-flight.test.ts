import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SingleFlight } from '../../src/core/single-flight.ts';

describe('look-ups of one key', () => {
  it('are asked once while they wait and while they are being asked, and again afterwards', () => {
    const flight = new SingleFlight<string>();
    assert.deepEqual([flight.join('a', 'c1'), flight.join('b', 'c2'), flight.join('a', 'c3')], [true, true, false]);
    assert.deepEqual(flight.take(10), ['a', 'b']);
    assert.equal(flight.join('a', 'c4'), false, 'it is being asked');
    assert.deepEqual(flight.take(10), []);
    assert.deepEqual(flight.settle('a'), ['c1', 'c3', 'c4']);
    assert.equal(flight.join('a', 'c5'), true);
    assert.equal(flight.size, 2);
  });

  it('leave in portions of at most so many keys', () => {
    const flight = new SingleFlight<number>();
    for (const key of ['a', 'b', 'c']) flight.join(key, 1);
    assert.deepEqual([flight.take(2), flight.take(2), flight.take(2)], [['a', 'b'], ['c'], []]);
  });

  it('have no callers for a key that nobody asked for', () => {
    assert.deepEqual(new SingleFlight<number>().settle('x'), []);
  });
});
