import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Mesh, SERVICES } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { checkAlways, degradedCount, tellUnexcused } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, SteadyLoad, tell } from '../support/steady-load.ts';

const PER_SECOND = 200;
const BUDGET_MS = 1_000;

let mesh: Mesh;
before(async () => {
  const scale = Object.fromEntries(SERVICES.map((service) => [service, 2]));
  mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'], scale });
});
after(() => mesh?.[Symbol.asyncDispose]());

for (const service of SERVICES) {
  test(`kill -9 of one of two ${service}s: only what was in flight fails`, async () => {
    const [instance] = mesh.of(service);
    assert.ok(instance);
    await using caller = await Balancer.start(mesh.of('gateway'));
    await using load = new SteadyLoad({
      caller,
      perSecond: PER_SECOND,
      models: ['mlp', 'credit-risk'],
      budgetMs: BUDGET_MS,
      key: mesh.keys.standard,
      pids: () => mesh.instances.map(({ pid }) => pid),
    });
    await delay(1_000);
    const fromMs = performance.now();
    await instance.kill('SIGKILL');
    const goneMs = performance.now();
    await delay(1_500);
    await instance.restart();
    const backMs = performance.now();
    await delay(500);
    const history = await load.stop();

    checkAlways(history, service === 'gateway');
    const unexcused = tellUnexcused(history, { fromMs, goneMs, backMs });
    assert.equal(unexcused, '', 'failures of requests that were not in flight');
    const failed = history.filter((op) => !isGood(op));
    const told = `${failed.length} of ${history.length} failed, ${degradedCount(history)} degraded`;
    console.log(`${service}: ${told}. ${tell(failed)}`);
  });
}
