import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { Merge, type MergeCall } from '../../src/core/merge.ts';

type Call = MergeCall & { name: string };

const call = (name: string, ...entities: string[]): Call => ({ name, entities, settled: false });

function newMerge(overrides: { maxEntities?: number; maxInFlight?: number } = {}) {
  const clock = new ManualClock();
  const merge = new Merge<Call>({ clock, windowMs: 5, maxEntities: 1_024, maxInFlight: 4, ...overrides });
  return { clock, merge };
}

/** A source that answers after `fetchMs`, and callers that arrive at `arrivals` (ms, ascending): how often is it asked? */
function simulate(arrivals: number[], fetchMs: number): { trips: number; longestWaitMs: number } {
  const { clock, merge } = newMerge();
  const ends: number[] = [];
  const arrivedAt = new Map<string, number>();
  let trips = 0;
  let longestWaitMs = 0;
  for (let step = 0; step < 2_000; step += 1) {
    const now = step / 10;
    while (ends.length > 0 && ends[0]! <= now) {
      ends.shift();
      merge.finished();
    }
    while (arrivals.length > 0 && arrivals[0]! <= now) {
      arrivals.shift();
      const name = `c${arrivedAt.size}`;
      arrivedAt.set(name, now);
      merge.push(call(name, name));
    }
    for (let merged = merge.take(); merged !== undefined; merged = merge.take()) {
      trips += 1;
      ends.push(now + fetchMs);
      for (const { call: answered } of merged.calls) {
        longestWaitMs = Math.max(longestWaitMs, now - arrivedAt.get(answered.name)!);
      }
    }
    clock.advance(0.1);
  }
  assert.equal(merge.waiting, 0, 'every caller left');
  return { trips, longestWaitMs };
}

describe('merging the fetches of one view', () => {
  it('lets a call leave at once when the view was quiet', () => {
    const { merge } = newMerge();
    assert.equal(merge.dueInMs(), Number.POSITIVE_INFINITY);
    merge.push(call('a', '1'));
    assert.equal(merge.dueInMs(), 0);
    assert.deepEqual(merge.take()?.entities, ['1']);
  });

  it('asks for every entity once and tells each call where its rows are', () => {
    const { merge } = newMerge();
    merge.push(call('a', '1', '2'));
    merge.push(call('b', '2', '3', '2'));
    const merged = merge.take();
    assert.deepEqual(merged?.entities, ['1', '2', '3']);
    assert.deepEqual(
      merged?.calls.map(({ call: { name }, rows }) => ({ name, rows })),
      [
        { name: 'a', rows: [0, 1] },
        { name: 'b', rows: [1, 2, 1] },
      ],
    );
  });

  it('keeps later calls until a window after the last departure', () => {
    const { clock, merge } = newMerge();
    merge.push(call('a', '1'));
    merge.push(call('b', '2'));
    merge.take();
    merge.finished();
    clock.advance(1);
    merge.push(call('c', '3'));
    merge.push(call('d', '4'));
    assert.equal(merge.dueInMs(), 4);
    assert.equal(merge.take(), undefined);
    clock.advance(4);
    assert.deepEqual(merge.take()?.entities, ['3', '4']);
  });

  it('does not slow down one caller who asks again after each answer, up to twice in a window', () => {
    const { clock, merge } = newMerge();
    for (const name of ['a', 'b', 'c']) {
      merge.push(call(name, name));
      assert.equal(merge.dueInMs(), 0, name);
      merge.take();
      clock.advance(1.5);
      merge.finished();
      clock.advance(1);
    }
    merge.push(call('d', 'd'));
    merge.take();
    merge.finished();
    clock.advance(1);
    merge.push(call('e', 'e'));
    assert.equal(merge.dueInMs(), 1.5, 'the third within a window waits until the first is a window old');
  });

  it('keeps calls while a round trip is under way, and overtakes a slow one after two windows', () => {
    const { clock, merge } = newMerge();
    merge.push(call('a', '1'));
    merge.take();
    clock.advance(6);
    merge.push(call('b', '2'));
    assert.equal(merge.dueInMs(), 4);
    clock.advance(4);
    assert.deepEqual(merge.take()?.entities, ['2']);
    assert.equal(merge.inFlight, 2);
  });

  it('leaves as soon as a round trip that took longer than the window has ended', () => {
    const { clock, merge } = newMerge();
    merge.push(call('a', '1'));
    merge.take();
    clock.advance(7);
    merge.push(call('b', '2'));
    merge.finished();
    assert.equal(merge.dueInMs(), 0);
  });

  it('never has more round trips under way than allowed, however long the source hangs', () => {
    const { clock, merge } = newMerge({ maxInFlight: 2 });
    for (const name of ['a', 'b', 'c']) {
      merge.push(call(name, name));
      merge.take();
      clock.advance(1_000);
    }
    assert.equal(merge.inFlight, 2);
    assert.equal(merge.dueInMs(), Number.POSITIVE_INFINITY);
    merge.finished();
    assert.equal(merge.dueInMs(), 0);
  });

  it('leaves at once with a full load, and splits what is more at whole calls', () => {
    const { merge } = newMerge({ maxEntities: 4 });
    merge.push(call('a', '0'));
    merge.take();
    merge.push(call('b', '1', '2', '3'));
    assert.equal(merge.take(), undefined);
    merge.push(call('c', '4', '5'));
    assert.deepEqual(merge.take()?.entities, ['1', '2', '3']);
    assert.equal(merge.take(), undefined);
    merge.finished();
    merge.finished();
    assert.equal(merge.waiting, 1);
    assert.equal(merge.dueInMs(), 5);
  });

  it('leaves out calls that were answered while they waited', () => {
    const { clock, merge } = newMerge();
    merge.push(call('a', '1'));
    merge.take();
    merge.finished();
    merge.push({ ...call('late', '2'), settled: true });
    merge.push(call('b', '3'));
    clock.advance(5);
    assert.deepEqual(merge.take()?.entities, ['3']);
    merge.finished();
    merge.push({ ...call('late', '2'), settled: true });
    clock.advance(5);
    assert.equal(merge.take(), undefined);
    assert.equal(merge.inFlight, 0);
  });

  it('serves 64 callers that arrive within 10 ms with at most 4 round trips, whatever the source takes', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed / 2_147_483_648;
    };
    const patterns: Record<string, () => number[]> = {
      spread: () => Array.from({ length: 64 }, (_, index) => (index * 10) / 63),
      random: () => Array.from({ length: 64 }, () => random() * 10).sort((a, b) => a - b),
      'at once': () => Array.from({ length: 64 }, () => 0),
      'first and last': () => [0, ...Array.from({ length: 63 }, () => 10)],
    };
    for (const [name, arrivals] of Object.entries(patterns)) {
      for (const fetchMs of [0.1, 0.3, 1, 3, 8, 20]) {
        const { trips, longestWaitMs } = simulate(arrivals(), fetchMs);
        assert.ok(trips <= 4, `${name}, a source of ${fetchMs} ms: ${trips} round trips`);
        assert.ok(longestWaitMs <= 10.2, `${name}, a source of ${fetchMs} ms: waited ${longestWaitMs} ms`);
      }
    }
  });

  it('says so when a round trip ends that never began', () => {
    assert.throws(() => newMerge().merge.finished(), /bug/);
  });
});
