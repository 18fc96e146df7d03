/**
 * What admission costs with many tenants, in a calm and in a congested class:
 * node services/gateway/test/bench/admission.ts [tenants=1000] [decisions=300000]
 */
import { argv } from 'node:process';
import { batcherLoad, candidate, START_MS, setUp, stateOf, waiting } from '../unit/admission/fixtures.ts';

const [tenants = 1_000, decisions = 300_000] = argv.slice(2).map(Number);
const names = Array.from({ length: tenants }, (_, n) => `tenant-${n}`);

/** @param load Offered over capacity. */
function measure(load: number): void {
  const admission = setUp();
  const asked = candidate();
  const perMs = (load * 4) / 0.625;
  let nowMs = START_MS;
  let tickedMs = nowMs;
  let decideMs = 0;
  let worstTickMs = 0;
  let tickMs = 0;
  let ticks = 0;
  let refused = 0;
  let work = 0;
  const measureFrom = decisions / 3; // the rest warms the compiler up
  for (let n = 0; n < decisions; n += 1000) {
    const atMs = performance.now();
    for (let i = 0; i < 1000; i += 1) {
      nowMs += 1 / perMs;
      asked.tenant = names[((n + i) * 7919) % tenants]!;
      const decision = admission.decide(asked, nowMs);
      if (decision.rung === 'refused') refused += 1;
      else {
        admission.published('m', decision.rank, decision.costIms, nowMs);
        work += decision.costIms;
      }
    }
    if (n > measureFrom) decideMs += performance.now() - atMs;
    work = Math.max(0, work - (1000 / perMs) * 4);
    while (nowMs - tickedMs >= 50) {
      tickedMs += 50;
      admission.onLoad('m', stateOf({ batcher: batcherLoad({ backlog: waiting(0, work) }) }), 0, nowMs);
      const beganMs = performance.now();
      admission.tick(nowMs);
      if (n <= measureFrom) continue;
      const tookMs = performance.now() - beganMs;
      worstTickMs = Math.max(worstTickMs, tookMs);
      tickMs += tookMs;
      ticks += 1;
    }
  }
  const decideUs = (1_000 * decideMs) / (decisions - measureFrom);
  console.log(
    `${load}× capacity, ${tenants} tenants: decide ${decideUs.toFixed(2)} µs, ` +
      `tick ${(tickMs / ticks).toFixed(3)} ms (worst ${worstTickMs.toFixed(3)}), refused ${((100 * refused) / decisions).toFixed(1)} %`,
  );
}

measure(0.5);
measure(5);
