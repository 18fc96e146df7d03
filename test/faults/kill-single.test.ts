import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Mesh, SERVICES } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { checkAlways, degradedCount, tellUnexcused } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, type Operation, SteadyLoad, tell } from '../support/steady-load.ts';

const PER_SECOND = 200;
const BUDGET_MS = 1_000;
const AWAY_MS = 1_000;
/** After a service says ready others still have to hear of it. */
const NOTICED_MS = 500;

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'] });
});
after(() => mesh?.[Symbol.asyncDispose]());

for (const service of SERVICES) {
  test(`kill -9 of the only ${service}: what fails was in flight or due before its return, typed and in time`, async () => {
    const [instance] = mesh.of(service);
    assert.ok(instance);
    await using caller = await Balancer.start(mesh.of('gateway'));
    await using load = new SteadyLoad({
      caller,
      perSecond: PER_SECOND,
      models: ['mlp', 'credit-risk'],
      budgetMs: BUDGET_MS,
      key: mesh.keys.standard,
      pids: () => mesh.of('gateway').map(({ pid }) => pid),
    });
    await delay(1_000);
    const fromMs = performance.now();
    await instance.kill('SIGKILL');
    const goneMs = performance.now();
    await delay(AWAY_MS);
    await instance.restart();
    const backMs = performance.now();
    await delay(2_000);
    const history = await load.stop();

    const isGateway = service === 'gateway'; // a killed gateway breaks connections, and a caller cannot wait at it
    checkAlways(history, isGateway);
    const dueBeforeReturn = (op: Operation): boolean =>
      op.startMs >= goneMs && op.startMs + (isGateway ? 0 : op.budgetMs) <= backMs + NOTICED_MS;
    const outage = { fromMs, goneMs, backMs };
    assert.equal(tellUnexcused(history, outage, dueBeforeReturn), '', 'failures that nothing excuses');
    const afterReturn = history.filter((op) => op.startMs > backMs + NOTICED_MS);
    assert.ok(afterReturn.length > PER_SECOND / 2);
    const failed = history.filter((op) => !isGood(op));
    const told = `${failed.length} of ${history.length} failed, ${degradedCount(history)} degraded`;
    console.log(`${service}: ${told}. ${tell(failed)}`);
  });
}
