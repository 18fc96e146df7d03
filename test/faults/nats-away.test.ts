import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Balancer } from '../support/balancer.ts';
import { checkAlways } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, type Operation, SteadyLoad, tell } from '../support/steady-load.ts';

const REFUSED_WITHIN_MS = 50;
const GOOD_AGAIN_WITHIN_MS = 2_000;

test('NATS killed: refusals within 50 ms while it is away, good answers within 2 s of its return', async () => {
  await using mesh = await startSeededMesh({ serves: ['mlp'] });
  await using caller = await Balancer.start(mesh.of('gateway'));
  await using load = new SteadyLoad({
    caller,
    perSecond: 200,
    models: ['mlp'],
    budgetMs: 1_000,
    key: mesh.keys.standard,
    pids: () => mesh.of('gateway').map(({ pid }) => pid),
  });
  await delay(1_000);
  const fromMs = performance.now();
  await mesh.nats.kill('SIGKILL');
  const goneMs = performance.now();
  await delay(1_500);
  await mesh.nats.restart();
  const backMs = performance.now();
  await delay(GOOD_AGAIN_WITHIN_MS + 1_500);
  const history = await load.stop();
  checkAlways(history);

  const away = history.filter((op) => op.startMs > goneMs && op.endMs < backMs);
  assert.ok(away.length > 100, `${away.length} operations while NATS was away`);
  const refusedSlowly = (op: Operation): boolean => op.endMs - op.startMs - op.machineMs > REFUSED_WITHIN_MS;
  assert.equal(tell(away.filter(refusedSlowly)), '', 'refusals that took longer than 50 ms');
  for (const op of away) assert.equal(op.error, 'UNAVAILABLE', tell([op]));

  const before = history.filter((op) => op.endMs < fromMs);
  assert.equal(tell(before.filter((op) => !isGood(op))), '', 'failures before');
  const lastBad = Math.max(...history.filter((op) => !isGood(op)).map((op) => op.startMs));
  assert.ok(
    lastBad - backMs < GOOD_AGAIN_WITHIN_MS,
    `the last request that failed began ${(lastBad - backMs).toFixed(0)} ms after NATS was back`,
  );
  const firstGood = history.find((op) => op.startMs > goneMs && isGood(op));
  console.log(`first good answer ${((firstGood?.endMs ?? Number.NaN) - backMs).toFixed(0)} ms after the return`);
});
