import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayLoad, LoadState } from '@spillway/contracts/messages';
import { LoadMeter } from '../../src/core/load-meter.ts';
import { MeshView } from '../../src/core/mesh-view.ts';
import { OwnLevel } from '../../src/core/own-level.ts';
import { Bench, doneOf, item } from './fixtures.ts';

const gatewayLoad = (refused: number): GatewayLoad => ({
  rates: [
    { offered: 1, admitted: 1, refused: 0 },
    { offered: 1, admitted: 1, refused },
  ],
  guard: 1,
  tenants: [],
  rest: [],
});

const stateOf = (seq: number, fields: Partial<LoadState> & { refused?: number } = {}): LoadState => {
  const { refused = 0, ...rest } = fields;
  return { instance: 'g', epoch: 7, seq, sentMs: 0, level: 0, gateway: gatewayLoad(refused), ...rest };
};

const near = (actual: number | undefined, expected: number, share = 0.01) =>
  assert.ok(
    Math.abs((actual ?? Number.NaN) - expected) <= share * expected,
    `expected about ${expected}, got ${actual}`,
  );

test('a batcher says what it holds, what it can do and what it has learned', () => {
  const bench = new Bench();
  bench.worker('w', 2, { maxBatchSize: 32, runMsOne: 4.5, runMsFull: 20 });
  bench.dispatcher.tick(bench.clock.now());
  bench.frame([item(1, { rows: 8, cost: 8 })]);
  bench.frame([item(2, { rows: 4, cost: 4 })], { trafficClass: 'vip' });
  bench.dispatcher.observePending('m', 1, 10, bench.clock.now());
  bench.clock.advance(5);
  const load = bench.dispatcher.loadOf('m', bench.clock.now());
  const [vip, standard, bulk] = load.backlog;
  near(vip?.held, (4 * 20) / 32);
  near(standard?.held, (8 * 20) / 32);
  near(standard?.pending, (10 * 8 * 20) / 32);
  assert.deepEqual([vip?.pendingAgeMs, standard?.pendingAgeMs, bulk?.held], [-1, 5, 0]);
  assert.deepEqual([load.operatingRows, load.healthy, load.suspect, load.costPerRow], [32, 1, 0, 1]);
  near(load.capacity, load.capacityRaw);
  near(load.runTimes[0]?.rowMs, 0.5);
  near(load.runTimes[0]?.baseMs, 4);
});

test('what left lately is a rate, and a model with traffic is busy for a second after it', () => {
  const bench = new Bench();
  bench.worker('w', 1, { maxBatchSize: 4, runMsOne: 10, runMsFull: 40 });
  bench.dispatcher.tick(bench.clock.now());
  for (let seq = 1; seq <= 200; seq += 4) {
    bench.frame([0, 1, 2, 3].map((i) => item(seq + i)));
    const batch = bench.next();
    for (let ms = 0; ms < 50; ms += 10) {
      bench.clock.advance(10);
      bench.dispatcher.tick(bench.clock.now());
    }
    bench.dispatcher.done('w', doneOf(batch?.batchId ?? '', { runMs: 40 }));
    bench.dispatcher.credits.grant('w', 'm', 1);
  }
  near(bench.dispatcher.loadOf('m', bench.clock.now()).backlog[1]?.rateOut, 40 / 50, 0.1);
  const meter = bench.dispatcher.queues('m')?.meter;
  assert.equal(meter?.busy(bench.clock.now()), true);
  bench.clock.advance(1_000);
  assert.equal(meter?.busy(bench.clock.now()), false);
});

test('declared costs become instance time by their mean for a row', () => {
  const bench = new Bench();
  bench.worker('w', 1, { maxBatchSize: 32, runMsOne: 4.5, runMsFull: 20 });
  bench.dispatcher.tick(bench.clock.now());
  assert.equal(
    bench.dispatcher.loadOf('m', bench.clock.now()).costPerRow,
    0,
    'nothing is known before the first request',
  );
  for (let seq = 1; seq <= 40; seq += 1) bench.frame([item(seq, { rows: 2, cost: 100 })]);
  const { costPerRow, backlog } = bench.dispatcher.loadOf('m', bench.clock.now());
  near(costPerRow, 50);
  near(backlog[1]?.held, (80 * 20) / 32);
});

test('the mean cost of a frame is that of its class, and follows what comes', () => {
  const meter = new LoadMeter(0);
  meter.came(0, 2, 2, 0);
  for (let i = 0; i < 100; i += 1) meter.came(1, 30, 30, 0);
  meter.observePending(0, 5, 0);
  meter.observePending(1, 5, 0);
  const [vip, standard] = meter.backlog(() => 0, 1, 0);
  near(vip?.pending, 10);
  near(standard?.pending, 150);
});

test('a gateway refuses until it says otherwise or is silent; old and repeated messages are ignored', () => {
  const mesh = new MeshView();
  mesh.hear(stateOf(5, { refused: 1 }), 0);
  assert.equal(mesh.refusing(200), true);
  mesh.hear(stateOf(4, { refused: 0 }), 210);
  mesh.hear(stateOf(9, { refused: 0, epoch: 6 }), 210);
  assert.equal(mesh.refusing(220), true);
  assert.equal(mesh.refusing(250), false, 'not heard for a quarter of a second');
  mesh.hear(stateOf(6, { refused: 1 }), 300);
  mesh.hear(stateOf(1, { refused: 0, epoch: 8 }), 310);
  assert.equal(mesh.refusing(320), false, 'a new life begins to count anew');
});

test('refusals that fade away, and a few among many, are none', () => {
  const mesh = new MeshView();
  mesh.hear(stateOf(1, { refused: 4 }), 0);
  assert.equal(mesh.refusing(0), true);
  mesh.hear(stateOf(2, { refused: 3.5 }), 50);
  assert.equal(mesh.refusing(50), true);
  mesh.hear(stateOf(3, { refused: 2.5 }), 100);
  assert.equal(mesh.refusing(100), false, 'a mean that falls by 30 % is of refusals that are over');
  mesh.hear(stateOf(4, { refused: 2.6 }), 150);
  assert.equal(mesh.refusing(150), true);
  mesh.hear(stateOf(1, { instance: 'h', refused: 0.03 }), 500);
  assert.equal(mesh.refusing(500), false);
});

test('demand is what all gateways are offered, less what the other batchers can do', () => {
  const mesh = new MeshView();
  mesh.hear(stateOf(1), 0);
  mesh.hear(stateOf(1, { instance: 'h' }), 0);
  const bench = new Bench();
  bench.worker('w', 1);
  bench.dispatcher.tick(bench.clock.now());
  const batcher = bench.dispatcher.loadOf('m', bench.clock.now());
  mesh.hear({ instance: 'b', epoch: 1, seq: 1, sentMs: 0, level: 0, batcher }, 0);
  assert.deepEqual([mesh.offered(100), mesh.capacityElsewhere(100)], [4, 1]);
  assert.deepEqual([mesh.offered(2_000), mesh.capacityElsewhere(2_000)], [0, 0]);
});

test('the brown-out level is the highest of those who are heard', () => {
  const mesh = new MeshView();
  mesh.hear(stateOf(1, { level: 3 }), 0);
  mesh.hear(stateOf(1, { instance: 'h', level: 1 }), 1_000);
  assert.equal(mesh.level(1_400), 3);
  assert.equal(mesh.level(1_600), 1);
  mesh.prune(70_000);
  assert.equal(mesh.level(70_000), 0);
});

test('a process that is late or full asks for a level after 300 ms, for the next after 300 more, and less after 5 s', () => {
  const own = new OwnLevel();
  const at = (lagMs: number, heap: number, fromMs: number, toMs: number) => {
    for (let ms = fromMs; ms <= toMs; ms += 50) own.observe(lagMs, heap, ms);
    return own.level;
  };
  assert.equal(at(49, 0.5, 0, 1_000), 0);
  assert.equal(at(60, 0.5, 1_050, 1_300), 0);
  assert.equal(at(60, 0.5, 1_350, 3_000), 1);
  assert.equal(at(80, 0.5, 3_050, 3_400), 2);
  assert.equal(at(0, 0.95, 3_450, 8_000), 2, 'the heap holds it');
  assert.equal(at(0, 0.1, 8_050, 13_100), 1);
  assert.equal(at(0, 0.1, 13_150, 18_300), 0);
  assert.equal(at(0, 0.1, 18_350, 30_000), 0);
});
