import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Balancer } from '../support/balancer.ts';
import { checkAlways } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { SteadyLoad, tell } from '../support/steady-load.ts';

const load = (caller: Balancer, key: string) =>
  new SteadyLoad({ caller, perSecond: 200, models: ['mlp', 'credit-risk'], budgetMs: 1_000, key });

/** With Redis gone features are defaults: the answer is another number, so numbers are compared for mlp only. */
const failedOf = (history: SteadyLoad['history']) =>
  history.filter((op) => op.status !== 200 || (op.model === 'mlp' && op.wrong !== undefined));

for (const [what, signal] of [
  ['killed', 'SIGKILL'],
  ['hanging', 'SIGSTOP'],
] as const) {
  test(`with Redis ${what} no request fails`, async () => {
    await using mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'] });
    await using caller = await Balancer.start(mesh.of('gateway'));
    const running = load(caller, mesh.keys.standard);
    await delay(1_000);
    await mesh.redis.kill(signal);
    await delay(2_000);
    if (signal === 'SIGSTOP') await mesh.redis.kill('SIGCONT');
    else await mesh.redis.restart();
    await delay(1_000);
    const history = await running.stop();
    checkAlways(history.map((op) => (op.model === 'mlp' ? op : { ...op, wrong: undefined })));
    assert.equal(tell(failedOf(history)), '');
    const stale = history.filter((op) => op.wrong !== undefined).length;
    console.log(`Redis ${what}: ${history.length} answered, ${stale} of them with default features`);
  });
}
