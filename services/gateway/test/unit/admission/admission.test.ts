import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batcherLoad, candidate, model, offer, START_MS, setUp, stateOf, waiting } from './fixtures.ts';

test('an idle mesh refuses nothing and keeps nobody waiting', () => {
  const admission = setUp();
  for (let i = 0; i < 200; i += 1) {
    const decision = offer(admission, START_MS + i * 10, { rank: i % 3, budgetMs: i % 2 === 0 ? 200 : 30 });
    assert.equal(decision.rung, 'run');
    if (i % 5 === 0) admission.tick(START_MS + i * 10);
  }
});

test('a model of which no batcher has spoken is bounded by its stream alone', () => {
  const admission = setUp({ batcher: null });
  for (let i = 0; i < 5_000; i += 1) assert.equal(offer(admission, START_MS + i / 100).rung, 'run');
  admission.onLoad('m', stateOf({ batcher: batcherLoad() }), 0, START_MS + 60);
  admission.tick(START_MS + 100);
  assert.equal(offer(admission, START_MS + 101).rung, 'run', 'costs that were guessed are forgotten');
});

test('a closed loop of 128 connections is never refused, nor after a pause', () => {
  for (const times of [
    { base: 0.4, row: 0.044, rows: 64, deadline: 5_000 }, // about 20,000 rows a second
    { base: 40, row: 2, rows: 32, deadline: 1_000 }, // 300 rows a second
    { base: 0.05, row: 0.001, rows: 64, deadline: 5_000 },
  ]) {
    const load = batcherLoad({
      capacity: 1,
      operatingRows: times.rows,
      runTimes: [{ variant: '', baseMs: times.base, rowMs: times.row, cv: 0.1 }],
    });
    const admission = setUp({ record: { ...model, defaultDeadlineMs: times.deadline }, batcher: load });
    let nowMs = START_MS;
    let inside = 0;
    let tickMs = nowMs;
    const ims = (times.base + times.row * times.rows) / times.rows;
    for (let round = 0; round < 300; round += 1) {
      while (inside < 128) {
        const { reason } = offer(admission, nowMs, { budgetMs: times.deadline });
        assert.equal(reason, '', `round ${round}`);
        inside += 1;
      }
      const rows = Math.min(times.rows, inside);
      nowMs += times.base + times.row * rows;
      inside -= rows;
      if (nowMs - tickMs < 50) continue;
      tickMs = nowMs;
      admission.onLoad('m', stateOf({ batcher: { ...load, backlog: waiting(0, inside * ims) } }), 0, nowMs);
      admission.tick(nowMs);
      if (round === 200) nowMs += 3_000;
    }
  }
});

test('a declared cost counts by its rows until a batcher knows what it means', () => {
  const request = { cost: 800, rows: 8 }; // of 100 for a row, as lengths of texts are
  for (const costPerRow of [0, 100]) {
    const admission = setUp({ batcher: { costPerRow } });
    assert.equal(admission.decide(candidate(request), START_MS).costIms, 8 * 0.625);
  }
});

test('what could not be answered in time is refused at once, with the time after which it could', () => {
  const admission = setUp({ batcher: { backlog: waiting(0, 500) } });
  const decision = offer(admission, START_MS);
  assert.deepEqual([decision.rung, decision.code, decision.reason], ['refused', 'OVERLOADED', 'predicted_finish']);
  assert.ok(decision.retryAfterMs >= 150);
  assert.equal(offer(admission, START_MS, { budgetMs: 2_000 }).rung, 'wait');
  assert.equal(offer(admission, START_MS, { budgetMs: 2_000, acceptsWait: false }).reason, 'predicted_finish');
});

test('a short budget does not wait for the long ones of its class, which wait for it', () => {
  const backlog = waiting(0, 360); // 90 ms of the four instances
  const after = (othersMs: number, budgetMs: number) => {
    const admission = setUp({ batcher: { backlog } });
    for (let n = 0; n < 20; n += 1) offer(admission, START_MS, { budgetMs: othersMs });
    admission.tick(START_MS + 50);
    admission.onLoad('m', stateOf({ batcher: batcherLoad({ backlog }) }), 0, START_MS + 50);
    return offer(admission, START_MS + 50, { budgetMs });
  };
  const [short, long] = [after(2_000, 150), after(2_000, 2_000)];
  assert.deepEqual([short.rung, long.rung], ['wait', 'wait']);
  assert.ok(long.predictedWaitMs > short.predictedWaitMs + 50);
  assert.equal(after(150, 150).reason, 'predicted_finish');
});

test('work of lower classes is not in front of vip', () => {
  const admission = setUp({ batcher: { backlog: waiting(0, 600, 600) } });
  assert.equal(offer(admission, START_MS, { rank: 0 }).rung, 'run');
  assert.equal(offer(admission, START_MS, { rank: 1 }).rung, 'refused');
});

test('vip is not refused because nothing has been heard for long', () => {
  const admission = setUp({ batcher: { backlog: waiting(4_000) } });
  assert.equal(offer(admission, START_MS, { rank: 0 }).rung, 'refused');
  assert.equal(offer(admission, START_MS + 600, { rank: 0 }).rung, 'wait');
});

test('what this gateway sent since the last report counts', () => {
  const admission = setUp();
  let admitted = 0;
  while (offer(admission, START_MS).rung !== 'refused') admitted += 1;
  assert.ok(admitted > 500 && admitted < 1_000, `${admitted} rows of 0.625 ims for 4 instances and 140 ms`);
});

test('a full stream closes its class until a newer sample says otherwise', () => {
  const admission = setUp();
  admission.streamFull('m', 1, START_MS);
  assert.equal(offer(admission, START_MS).reason, 'queue_bound');
  assert.equal(offer(admission, START_MS, { rank: 0 }).rung, 'run');
  admission.onLoad('m', stateOf({ batcher: batcherLoad() }), 0, START_MS + 10);
  assert.equal(offer(admission, START_MS + 10).rung, 'run');
});

test('while the bus is away everybody is told so, and to come back later the longer it takes', () => {
  const admission = setUp();
  admission.busAway(true, START_MS);
  const first = offer(admission, START_MS + 10);
  assert.deepEqual([first.code, first.reason], ['UNAVAILABLE', 'bus']);
  assert.ok(first.retryAfterMs <= 300);
  assert.ok((admission.atDoor(0, '', START_MS + 10_000)?.retryAfterMs ?? 0) >= 1_000);
  admission.busAway(false, START_MS + 10_001);
  assert.equal(offer(admission, START_MS + 10_001).rung, 'run');
});

test('a budget that has passed is refused as expired', () => {
  assert.equal(offer(setUp(), START_MS, { budgetMs: 0 }).reason, 'expired');
});

const LITE = [
  { variant: '', baseMs: 4, rowMs: 0.5, cv: 0 },
  { variant: 'lite', baseMs: 0.4, rowMs: 0.05, cv: 0 },
];
const withLite = { ...model, degradeTo: ['lite'] };

test('a request that would be refused gets a lighter variant, if caller and model accept it', () => {
  const admission = setUp({ record: withLite, batcher: { backlog: waiting(0, 450), runTimes: LITE } });
  const decision = offer(admission, START_MS, { acceptsDegraded: true, budgetMs: 190 });
  assert.deepEqual([decision.rung, decision.variant], ['degraded', 'lite']);
  assert.ok(decision.costIms < 0.1);
  assert.equal(offer(admission, START_MS, { budgetMs: 190 }).rung, 'refused');
  const strict = setUp({ batcher: { backlog: waiting(0, 450), runTimes: LITE } });
  assert.equal(offer(strict, START_MS, { acceptsDegraded: true, budgetMs: 190 }).rung, 'refused');
});

test('a model whose owner says so gives the lighter variant to callers that would rather not', () => {
  const record = { ...withLite, degradeOptOut: false };
  const admission = setUp({ record, batcher: { backlog: waiting(0, 450), runTimes: LITE } });
  assert.equal(offer(admission, START_MS, { budgetMs: 190 }).variant, 'lite');
});

test('whoever accepts a ticket gets one instead of a refusal, while there is room', () => {
  const admission = setUp({ batcher: { backlog: waiting(0, 0, 2_000) } });
  assert.equal(offer(admission, START_MS, { rank: 2, acceptsTicket: true }).rung, 'ticket');
  admission.ticketsOpen = false;
  assert.equal(offer(admission, START_MS, { rank: 2, acceptsTicket: true }).rung, 'refused');
});

test('the state of a process that is older than what is known is ignored', () => {
  const admission = setUp();
  const told = { epoch: 5, seq: 10 };
  admission.onLoad('m', stateOf({ batcher: batcherLoad({ capacity: 2 }) }, told), 0, START_MS);
  admission.onLoad('m', stateOf({ batcher: batcherLoad({ capacity: 3 }) }, { epoch: 5, seq: 9 }), 0, START_MS);
  admission.onLoad('m', stateOf({ batcher: batcherLoad({ capacity: 4 }) }, { epoch: 4, seq: 11 }), 0, START_MS);
  admission.tick(START_MS + 50);
  assert.equal(admission.facts()[0]?.capacity, 2);
});

test('a batcher that falls silent while the others speak no longer counts; when all are silent the last word holds', () => {
  const admission = setUp();
  for (let ms = 0; ms <= 200; ms += 50) {
    admission.onLoad('m', stateOf({ batcher: batcherLoad() }, { instance: 'b0' }), 0, START_MS + ms);
    admission.onLoad('m', stateOf({ batcher: batcherLoad() }, { instance: 'b1' }), 0, START_MS + ms);
  }
  admission.tick(START_MS + 210);
  assert.equal(admission.facts()[0]?.capacity, 8);
  for (let ms = 250; ms <= 800; ms += 50) {
    admission.onLoad('m', stateOf({ batcher: batcherLoad() }, { instance: 'b0' }), 0, START_MS + ms);
    admission.tick(START_MS + ms);
  }
  assert.equal(admission.facts()[0]?.capacity, 4);
  admission.tick(START_MS + 5_000);
  assert.equal(admission.facts()[0]?.capacity, 4);
});

test('requests wait for a model whose instances are all gone, up to its bound', () => {
  const admission = setUp();
  const gone = batcherLoad({ capacity: 0, capacityRaw: 0, healthy: 0 });
  admission.onLoad('m', stateOf({ batcher: gone }), 0, START_MS + 50);
  admission.tick(START_MS + 50);
  const first = offer(admission, START_MS + 51);
  assert.notEqual(first.rung, 'refused');
  let admitted = 0;
  while (offer(admission, START_MS + 52, { budgetMs: 5_000 }).rung !== 'refused' && admitted < 10_000) admitted += 1;
  assert.ok(admitted < 1_500, `${admitted} requests were let in behind nobody`);
  admission.tick(START_MS + 20_000);
  assert.equal(offer(admission, START_MS + 20_000).rung, 'run', 'nothing is known any more: the stream is the limit');
});

test('mechanisms can be switched off one by one', () => {
  const busy = { backlog: waiting(0, 500) };
  assert.equal(offer(setUp({ batcher: busy, settings: { off: ['predicted_finish'] } }), START_MS).rung, 'wait');
  const full = { backlog: waiting(0, 2_000) };
  const bound = setUp({ batcher: full, settings: { off: ['predicted_finish'] } });
  assert.equal(offer(bound, START_MS).reason, 'queue_bound');
  const none = setUp({ batcher: full, settings: { off: ['predicted_finish', 'queue_bound', 'fair_rate'] } });
  assert.equal(offer(none, START_MS).rung, 'wait');
});

test('the heaviest tenants of a congested class are told, the rest as a sum', () => {
  const admission = setUp();
  for (let ms = 0; ms < 600; ms += 1) {
    for (let n = 0; n < 40; n += 1) offer(admission, START_MS + ms, { tenant: `t${n}` });
    if (ms % 50 === 49) admission.tick(START_MS + ms);
  }
  const { tenants, rest, rates } = admission.loadOf('m', START_MS + 600);
  assert.equal(tenants.length, 32);
  assert.equal(rest[1]?.count, 8);
  const sum = tenants.reduce((all, { offered }) => all + offered, 0) + (rest[1]?.offered ?? 0);
  assert.ok(Math.abs(sum / (rates[1]?.offered ?? 0) - 1) < 0.01);
});
