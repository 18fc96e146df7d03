import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Mesh, SERVICES } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { checkAlways, claim, degradedCount, tellUnexcused } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, SteadyLoad, tell } from '../support/steady-load.ts';

/** What a mesh with two of each service promises when one of them stops: nothing is lost if it may drain, else what it held. */
let mesh: Mesh;
let caller: Balancer;
before(async () => {
  const scale = Object.fromEntries(SERVICES.map((service) => [service, 2]));
  mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'], scale });
  caller = await Balancer.start(mesh.of('gateway'));
});
after(async () => {
  await caller?.[Symbol.asyncDispose]();
  await mesh?.[Symbol.asyncDispose]();
});

const loadOf = (options: { perSecond: number; models: string[]; budgetMs: number }): SteadyLoad =>
  new SteadyLoad({ caller, key: mesh.keys.standard, pids: () => mesh.instances.map(({ pid }) => pid), ...options });

/** What is lost fails whatever it is; what a crowded machine delays does not. */
const LONG_BUDGET_MS = 5_000;

for (const service of SERVICES) {
  test(`SIGTERM of each of two ${service}s under load fails no request`, async () => {
    const models = ['mlp', 'mlp', 'mlp', 'credit-risk'];
    await using load = loadOf({ perSecond: 250, models, budgetMs: LONG_BUDGET_MS });
    await delay(1_500); // warm
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

for (const service of SERVICES) {
  test(`kill -9 of one of two ${service}s: only what was in flight fails`, async () => {
    const [instance] = mesh.of(service);
    assert.ok(instance);
    await using load = loadOf({ perSecond: 200, models: ['mlp', 'credit-risk'], budgetMs: 1_000 });
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
