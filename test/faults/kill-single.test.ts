import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Mesh, SERVICES } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { casesOf, oipRequest } from '../support/cases.ts';
import { checkAlways, degradedCount, tellUnexcused } from '../support/checker.ts';
import { headerOf } from '../support/infer.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { sampleClients } from '../support/sample-clients.ts';
import { isGood, type Operation, SteadyLoad, tell } from '../support/steady-load.ts';

const PER_SECOND = 100; // what a crowded machine can carry, too
const BUDGET_MS = 1_000;
const AWAY_MS = 1_000;
/** After a service says ready others still have to hear of it: at least so long, and longer on a crowded machine. */
const NOTICED_MS = 500;
const NOTICED_WITHIN_MS = 60_000;
const MODELS = ['mlp', 'credit-risk'];

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: MODELS });
});
after(() => mesh?.[Symbol.asyncDispose]());

/** A request that no cache can answer: neither a refusal nor an answer with default features is kept. */
function fresh(model: string): object {
  if (model !== 'credit-risk') return oipRequest(casesOf(model)[0]!);
  return { inputs: [{ name: 'client_id', datatype: 'BYTES', shape: [1, 1], data: [CLIENTS.pop()] }] };
}
const CLIENTS = sampleClients();
const ASK_AGAIN_MS = 20;

/**
 * Resolves when requests that can wait are answered in full. What is more urgent runs before them: then every service has heard
 * of the one that is back, and what had waited for it has ended.
 */
async function untilNoticed(caller: Balancer): Promise<void> {
  const endMs = performance.now() + NOTICED_WITHIN_MS;
  for (const model of MODELS) {
    const body = JSON.stringify(fresh(model));
    for (;;) {
      const leftMs = Math.ceil(endMs - performance.now());
      assert.ok(leftMs > 0, `${model} had no full answer within ${NOTICED_WITHIN_MS} ms of the return`);
      const headers = { authorization: `Bearer ${mesh.keys.standard}`, 'spillway-timeout-ms': String(leftMs) };
      const reply = await caller.call({ path: `/v2/models/${model}/infer`, headers, body, timeoutMs: leftMs + 1_000 });
      if (reply.status === 200 && headerOf(reply, 'spillway-degraded') === '') break;
      await delay(ASK_AGAIN_MS);
    }
  }
}

for (const service of SERVICES) {
  test(`kill -9 of the only ${service}: what fails was in flight or due before its return, typed and in time`, async () => {
    const [instance] = mesh.of(service);
    assert.ok(instance);
    await using caller = await Balancer.start(mesh.of('gateway'));
    await using load = new SteadyLoad({
      caller,
      perSecond: PER_SECOND,
      models: MODELS,
      budgetMs: BUDGET_MS,
      key: mesh.keys.standard,
      pids: () => mesh.instances.map(({ pid }) => pid),
    });
    await load.untilEnded(PER_SECOND);
    const fromMs = performance.now();
    await instance.kill('SIGKILL');
    const goneMs = performance.now();
    await delay(AWAY_MS);
    await instance.restart();
    const backMs = performance.now();
    await untilNoticed(caller);
    await delay(Math.max(0, backMs + NOTICED_MS - performance.now()));
    const noticedMs = performance.now(); // read only now: a timer may fire up to a millisecond early
    await load.untilEnded(PER_SECOND / 2);
    const history = await load.stop();

    const isGateway = service === 'gateway'; // a killed gateway breaks connections, and a caller cannot wait at it
    checkAlways(history, isGateway);
    const dueBeforeReturn = (op: Operation): boolean =>
      op.startMs >= goneMs && op.startMs + (isGateway ? 0 : op.budgetMs) <= noticedMs;
    const outage = { fromMs, goneMs, backMs };
    assert.equal(tellUnexcused(history, outage, dueBeforeReturn), '', 'failures that nothing excuses');
    const afterReturn = history.filter((op) => op.startMs >= noticedMs);
    assert.ok(afterReturn.length >= PER_SECOND / 2);
    const failed = history.filter((op) => !isGood(op));
    const told = `${failed.length} of ${history.length} failed, ${degradedCount(history)} degraded`;
    console.log(`${service}: ${told}, noticed after ${(noticedMs - backMs).toFixed(0)} ms. ${tell(failed)}`);
  });
}
