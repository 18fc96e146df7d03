import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Breaker } from '../src/breaker.ts';
import { ManualClock } from '../src/manual-clock.ts';

function newBreaker() {
  const clock = new ManualClock();
  const breaker = new Breaker({ clock, failures: 5, windowMs: 1_000, openMs: 1_000 });
  const fail = (times: number, everyMs = 0) => {
    let change: string | undefined;
    for (let i = 0; i < times; i += 1) {
      if (i > 0) clock.advance(everyMs);
      breaker.allow();
      change = breaker.failed();
    }
    return change;
  };
  return { clock, breaker, fail };
}

describe('the breaker of a source', () => {
  it('opens with the fifth failure within a second, not before', () => {
    const { breaker, fail } = newBreaker();
    assert.equal(fail(4, 200), undefined);
    assert.equal(breaker.blocks(), false);
    assert.equal(fail(1), 'opened');
    assert.equal(breaker.allow(), false);
  });

  it('stays closed when five failures take longer than a second', () => {
    const { breaker, fail } = newBreaker();
    assert.equal(fail(20, 251), undefined);
    assert.equal(breaker.state, 'closed');
  });

  it('stays closed while some round trips succeed, however many fail', () => {
    const { breaker, fail } = newBreaker();
    for (let round = 0; round < 10; round += 1) {
      assert.equal(fail(4), undefined);
      breaker.succeeded();
    }
    assert.equal(breaker.state, 'closed');
  });

  it('lets one probe through after a second, and closes when it succeeds', () => {
    const { clock, breaker, fail } = newBreaker();
    fail(5);
    clock.advance(999);
    assert.equal(breaker.allow(), false);
    clock.advance(1);
    assert.equal(breaker.blocks(), false);
    assert.equal(breaker.allow(), true);
    assert.equal(breaker.allow(), false, 'one probe at a time');
    assert.equal(breaker.succeeded(), 'closed');
    assert.equal(breaker.allow(), true);
    assert.equal(fail(4), undefined, 'old failures are forgotten');
  });

  it('opens again for a second when the probe fails, without telling it twice', () => {
    const { clock, breaker, fail } = newBreaker();
    fail(5);
    clock.advance(1_000);
    breaker.allow();
    assert.equal(breaker.failed(), undefined);
    clock.advance(999);
    assert.equal(breaker.allow(), false);
    clock.advance(1);
    assert.equal(breaker.allow(), true);
  });

  it('is not closed by a round trip from before it opened', () => {
    const { breaker, fail } = newBreaker();
    breaker.allow();
    fail(5);
    assert.equal(breaker.succeeded(), undefined);
    assert.equal(breaker.state, 'open');
  });
});
