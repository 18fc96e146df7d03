import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Mesh } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { checkAlways, degradedCount } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, SteadyLoad, tell } from '../support/steady-load.ts';

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'] });
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
      perSecond: 200,
      models: ['mlp', 'credit-risk'],
      budgetMs: 1_000,
      key: mesh.keys.standard,
      pids: () => mesh.of('gateway').map(({ pid }) => pid),
    });
    await delay(1_000);
    await mesh.redis.kill(signal);
    await delay(2_000);
    if (signal === 'SIGSTOP') await mesh.redis.kill('SIGCONT');
    else await mesh.redis.restart();
    await delay(1_000);
    const history = await running.stop();
    checkAlways(history);
    assert.equal(tell(history.filter((op) => !isGood(op))), '');
    console.log(`Redis ${what}: ${history.length} answered, ${degradedCount(history)} of them with default features`);
  });
}
