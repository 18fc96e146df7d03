import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Mesh, SERVICES } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { checkAlways, claim, degradedCount } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, SteadyLoad, tell } from '../support/steady-load.ts';

const PER_SECOND = 250;
const BUDGET_MS = 5_000; // what is lost fails whatever it is; what a crowded machine delays does not
const WARM_UP_MS = 1_500;

let mesh: Mesh;
before(async () => {
  const scale = Object.fromEntries(SERVICES.map((service) => [service, 2]));
  mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'], scale });
});
after(() => mesh?.[Symbol.asyncDispose]());

for (const service of SERVICES) {
  test(`SIGTERM of each of two ${service}s under load fails no request`, async () => {
    await using caller = await Balancer.start(mesh.of('gateway'));
    await using load = new SteadyLoad({
      caller,
      perSecond: PER_SECOND,
      models: ['mlp', 'mlp', 'mlp', 'credit-risk'],
      budgetMs: BUDGET_MS,
      key: mesh.keys.standard,
      pids: () => mesh.of('gateway').map(({ pid }) => pid),
    });
    await delay(WARM_UP_MS);
    for (const instance of mesh.of(service)) {
      await instance.stop(15_000);
      assert.equal(instance.end, 0, `${instance.name} ended with ${instance.end}:\n${instance.tail()}`);
      await instance.restart();
      await delay(750); // the others hear of it before the second one goes
    }
    const history = await load.stop();
    checkAlways(history);
    const failed = history.filter((op) => !isGood(op));
    assert.equal(tell(failed), '', `${failed.length} of ${history.length} failed`);
    console.log(`${service}: ${claim(history.length)}, ${degradedCount(history)} degraded`);
  });
}
