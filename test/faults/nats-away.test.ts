import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Balancer } from '../support/balancer.ts';
import { checkAlways, tellSlow, wasStarved } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, type Operation, SteadyLoad, tell } from '../support/steady-load.ts';

/** Of what is lost around the return, nobody hears before this. */
const BUDGET_MS = 3_000;
const GIVEN_UP_MS = 60_000;
const PER_SECOND = 200;
/** On a calm machine. */
const REFUSED_WITHIN_MS = 50;
const GOOD_AGAIN_WITHIN_MS = 2_000;

test('NATS killed: refusals at once while it is away, good answers again after its return', async () => {
  await using mesh = await startSeededMesh({ serves: ['mlp'] });
  await using caller = await Balancer.start(mesh.of('gateway'));
  await using load = new SteadyLoad({
    caller,
    perSecond: PER_SECOND,
    models: ['mlp'],
    budgetMs: BUDGET_MS,
    key: mesh.keys.standard,
    pids: () => mesh.of('gateway').map(({ pid }) => pid),
  });
  await load.untilEnded(PER_SECOND);
  const fromMs = performance.now();
  await mesh.nats.kill('SIGKILL');
  const goneMs = performance.now();
  await load.untilEnded(1.5 * PER_SECOND); // NATS is still away: those that waited for it would end at their deadlines
  const refusedMs = performance.now();
  await mesh.nats.restart();
  const backMs = performance.now();
  const fails = (op: Operation): boolean => !isGood(op) && !wasStarved(op);
  const goodForASecond = async (): Promise<boolean> => {
    const startMs = performance.now();
    await load.untilEnded(PER_SECOND);
    return !load.history.some((op) => op.startMs >= startMs && fails(op));
  };
  let good = await goodForASecond();
  while (!good && performance.now() < backMs + GIVEN_UP_MS) good = await goodForASecond();
  const history = await load.stop();
  checkAlways(history);

  const away = history.filter((op) => op.startMs >= goneMs && op.endMs <= refusedMs);
  assert.ok(away.length >= 1.5 * PER_SECOND, `${away.length} operations while NATS was away`);
  assert.equal(tellSlow(away, REFUSED_WITHIN_MS), '', `refusals that took longer than ${REFUSED_WITHIN_MS} ms`);
  assert.equal(tell(away.filter((op) => op.error !== 'UNAVAILABLE' && !wasStarved(op))), '');

  const before = history.filter((op) => op.endMs < fromMs);
  assert.equal(tell(before.filter(fails)), '', 'failures before');
  const bad = history.filter((op) => op.startMs > backMs && fails(op));
  assert.ok(good, `no end to failures after the return: ${tell(bad)}`);
  const lateBad = bad.filter((op) => !op.crowded && op.startMs - backMs > GOOD_AGAIN_WITHIN_MS);
  assert.equal(tell(lateBad), '', `failures more than ${GOOD_AGAIN_WITHIN_MS} ms after the return`);
  const lastBad = Math.max(backMs, ...bad.map(({ startMs }) => startMs));
  console.log(`the last request that failed began ${(lastBad - backMs).toFixed(0)} ms after NATS was back`);
});
