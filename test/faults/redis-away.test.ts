import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Mesh } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { checkAlways, degradedCount, tellSlow, wasCrowdedOut } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, SteadyLoad, tell } from '../support/steady-load.ts';

/** Longer than anything here: a request that waited for Redis would wait for as long. */
const BUDGET_MS = 30_000;
const PER_SECOND = 200;
/** On a calm machine. */
const HELD_UP_MS = 1_000;

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'], sourcesFail: true });
});
after(() => mesh?.[Symbol.asyncDispose]());

// Killed last: it comes back empty.
for (const [what, signal] of [
  ['hanging', 'SIGSTOP'],
  ['killed', 'SIGKILL'],
] as const) {
  test(`with Redis ${what} no request fails`, async () => {
    await using caller = await Balancer.start(mesh.of('gateway'));
    await using running = new SteadyLoad({
      caller,
      perSecond: PER_SECOND,
      models: ['mlp', 'credit-risk'],
      budgetMs: BUDGET_MS,
      key: mesh.keys.standard,
      pids: () => mesh.of('gateway').map(({ pid }) => pid),
    });
    await running.untilEnded(PER_SECOND);
    await mesh.redis.kill(signal);
    await running.untilEnded(2 * PER_SECOND); // while it is away
    if (signal === 'SIGSTOP') await mesh.redis.kill('SIGCONT');
    else await mesh.redis.restart();
    await running.untilEnded(PER_SECOND);
    const history = await running.stop();
    checkAlways(history);
    assert.equal(tellSlow(history, HELD_UP_MS), '');
    assert.equal(tell(history.filter((op) => !isGood(op) && !wasCrowdedOut(op))), '');
    console.log(`Redis ${what}: ${history.length} answered, ${degradedCount(history)} of them with default features`);
  });
}
