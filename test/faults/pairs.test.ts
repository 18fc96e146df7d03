import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Mesh, SERVICES } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import {
  checkAlways,
  claim,
  degradedCount,
  tellSlow,
  tellUnexcused,
  wasCrowdedOut,
  wasInFlightAt,
} from '../support/checker.ts';
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

/** What is lost fails whatever it is; what a crowded machine delays does not. */
const BUDGET_MS = 30_000;
const PER_SECOND = 200;

const loadOf = (models: string[]): SteadyLoad =>
  new SteadyLoad({
    caller,
    perSecond: PER_SECOND,
    models,
    budgetMs: BUDGET_MS,
    key: mesh.keys.standard,
    pids: () => mesh.instances.map(({ pid }) => pid),
  });

/** Longest answers of a calm machine while an instance goes, and when it was killed and another one takes over. */
const DRAINED_MS = 5_000;
const TAKEN_OVER_MS = 1_000;

for (const service of SERVICES) {
  test(`SIGTERM of each of two ${service}s under load fails no request`, async () => {
    await using load = loadOf(['mlp', 'mlp', 'mlp', 'credit-risk']);
    await load.untilEnded(1.5 * PER_SECOND); // warm
    for (const instance of mesh.of(service)) {
      await instance.stop(60_000);
      assert.equal(instance.end, 0, `${instance.name} ended with ${instance.end}:\n${instance.tail()}`);
      await instance.restart();
      await load.untilEnded(0.75 * PER_SECOND); // the others hear of it before the second one goes
    }
    const history = await load.stop();
    checkAlways(history);
    const failed = history.filter((op) => !isGood(op) && !wasCrowdedOut(op));
    assert.equal(tell(failed), '', `${failed.length} of ${history.length} failed`);
    assert.equal(tellSlow(history, DRAINED_MS), '', 'answers that something held up');
    console.log(`${service}: ${claim(history.length)}, ${degradedCount(history)} degraded`);
  });
}

for (const service of SERVICES) {
  test(`kill -9 of one of two ${service}s: only what was in flight fails`, async () => {
    const [instance] = mesh.of(service);
    assert.ok(instance);
    await using load = loadOf(['mlp', 'credit-risk']);
    await load.untilEnded(PER_SECOND);
    const fromMs = performance.now();
    await instance.kill('SIGKILL');
    const goneMs = performance.now();
    await delay(1_500);
    await instance.restart();
    const backMs = performance.now();
    await load.untilEnded(PER_SECOND / 2);
    const history = await load.stop();

    checkAlways(history, service === 'gateway');
    const outage = { fromMs, goneMs, backMs };
    assert.equal(tellUnexcused(history, outage), '', 'failures of requests that were not in flight');
    const others = history.filter((op) => !wasInFlightAt(op, outage));
    assert.equal(tellSlow(others, TAKEN_OVER_MS), '', 'requests that were not in flight and had to wait');
    const failed = history.filter((op) => !isGood(op));
    const told = `${failed.length} of ${history.length} failed, ${degradedCount(history)} degraded`;
    console.log(`${service}: ${told}. ${tell(failed)}`);
  });
}
