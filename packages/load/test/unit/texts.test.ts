import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readMixFile } from '../../src/mix-file.ts';
import { mixOfTexts, readProtocol } from '../../src/mix-text.ts';
import { planOfTexts } from '../../src/plan-text.ts';
import { allPieces, expectedRequests } from '../../src/profile.ts';
import { readDuration, readRate } from '../../src/quantity.ts';
import { parseTrace } from '../../src/trace-csv.ts';

const defaults = { model: 'simulated', protocol: 'http', tenant: 'anonymous' } as const;

test('a mix has a kind for each group; names of classes are classes; values hold for all groups or for one', () => {
  const kinds = mixOfTexts(
    {
      mix: 'vip=10,standard=60,other=30',
      keys: ['sk_all', 'vip=sk_vip=x'],
      deadlineMs: '500,vip=80/400',
      retry: 'none,standard=naive:4',
      cancel: 'other=5%@20ms',
      rows: '2',
      accept: 'wait',
    },
    defaults,
  );
  assert.deepEqual(
    kinds.map((kind) => [kind.name, kind.weight, kind.trafficClass, kind.key, kind.rows]),
    [
      ['vip', 10, 'vip', 'sk_vip=x', 2],
      ['standard', 60, 'standard', 'sk_all', 2],
      ['other', 30, undefined, 'sk_all', 2],
    ],
  );
  const [vip, standard, other] = kinds;
  assert.deepEqual(
    vip!.deadlineMs.map(({ value }) => value),
    [80, 400],
  );
  assert.deepEqual(standard!.retry, { kind: 'naive', tries: 4 });
  assert.deepEqual([vip!.cancel, other!.cancel], [undefined, { probability: 0.05, afterMs: 20 }]);
});

test('without a mix there is one group, without a class', () => {
  const [only, ...rest] = mixOfTexts({}, defaults);
  assert.deepEqual([rest.length, only!.name, only!.trafficClass, only!.key], [0, 'simulated', undefined, undefined]);
});

for (const [texts, message] of [
  [{ mix: 'vip' }, /mix, vip: expected a number/],
  [{ mix: 'vip=many' }, /mix, vip: expected a number.*got "many"/],
  [{ mix: 'vip=1', deadlineMs: 'bulk=5' }, /deadline-ms: expected one of vip before "=", got "bulk"/],
  [{ deadlineMs: '0' }, /deadline-ms: expected a number from 1/],
  [{ retry: 'often' }, /retry: expected none, naive.*got "often"/],
  [{ retry: 'naive:0' }, /retry, naive: expected a number from 1/],
  [{ cancel: '20ms' }, /cancel: expected a share and a time such as 5%@20ms, got "20ms"/],
  [{ cancel: '500%@20ms' }, /cancel: expected a number from 0 to 100/],
] as const) {
  test(`the mix ${JSON.stringify(texts)} is refused`, () => {
    assert.throws(() => mixOfTexts(texts, defaults), message);
  });
}

test('a protocol that is none is refused', () => {
  assert.equal(readProtocol('grpc-stream'), 'grpc-stream');
  assert.throws(() => readProtocol('smtp'), /protocol: expected one of http, grpc, grpc-stream, events, got "smtp"/);
});

function withFile<T>(text: string, use: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-mix-'));
  try {
    const path = join(folder, 'mix.yaml');
    writeFileSync(path, text);
    return use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a mix file has kinds with everything of their own, and keys may come from outside', () => {
  const text = `
kinds:
  - { name: shop, class: vip, weight: 1, phase_weights: { flood: 100 }, deadline_ms: [80, 400], retry: obey }
  - { class: bulk, model: mlp, protocol: events, tenant: acme, deadline_ms: 60000, accept: [wait, ticket], cancel: 1%@5ms,
      headers: { x-team: blue } }
texts: [one, two]
tensors: { mlp: [{ name: x, datatype: FP32, shape: [-1, 64] }] }
`;
  const { kinds, inputs } = withFile(text, (path) => readMixFile(path, defaults, new Map([['shop', 'sk_shop']])));
  const [shop, bulk] = kinds;
  assert.deepEqual(
    [shop!.name, shop!.key, shop!.phaseWeights['flood'], shop!.retry],
    ['shop', 'sk_shop', 100, { kind: 'obey', tries: 2 }],
  );
  assert.deepEqual(
    [bulk!.name, bulk!.model, bulk!.protocol, bulk!.tenant, bulk!.accept, bulk!.headers],
    ['bulk', 'mlp', 'events', 'acme', 'wait, ticket', { 'x-team': 'blue' }],
  );
  assert.deepEqual(inputs.texts, ['one', 'two']);
  assert.equal(inputs.tensors?.['mlp']?.[0]?.name, 'x');
});

test('every fault of a mix file is named', () => {
  const text = 'kinds: [{ class: gold, wieght: 3 }]';
  assert.throws(
    () => withFile(text, (path) => readMixFile(path, defaults, new Map())),
    (error: Error) => /kinds\[0\]\.class/.test(error.message) && /wieght.*weight/.test(error.message),
  );
});

test('a rate or a profile becomes a plan', () => {
  const plan = planOfTexts({ rate: '0.5x', for: '4s' }, 300);
  assert.ok('profile' in plan);
  assert.equal(expectedRequests(allPieces(plan.profile)), 600);
  assert.equal(plan.process, 'poisson');
  const bursty = planOfTexts({ profile: '10 1s', process: 'gamma:0.25' }, undefined);
  assert.deepEqual('process' in bursty && bursty.process, { gamma: 0.25 });
});

test('a trace becomes a plan with its window, speed and peak', () => {
  const trace = parseTrace('t,count\n0,5\n60,50\n120,5\n180,5\n');
  const plan = planOfTexts({ window: 'peak:2m', speed: '60', peak: '1.5x' }, 300, { name: 'x.csv', trace });
  assert.ok('trace' in plan);
  assert.deepEqual(plan.replay, { window: { fromMs: 30_000, toMs: 150_000 }, speed: 60, peakPerSecond: 450 });
});

for (const [texts, message] of [
  [{}, /expected one of --rate, --profile and --trace/],
  [{ rate: '1', profile: '1 1s' }, /expected one of --rate, --profile and --trace/],
  [{ profile: '1 1s', for: '1s' }, /--for goes with --rate/],
  [{ rate: '1', process: 'random' }, /--process: expected poisson, constant or gamma.*got "random"/],
  [{ rate: '1', speed: '2' }, /--speed goes with --trace/],
] as const) {
  test(`the plan ${JSON.stringify(texts)} is refused`, () => {
    assert.throws(() => planOfTexts(texts, undefined), message);
  });
}

for (const [texts, message] of [
  [{ rate: '5' }, /--rate does not go with --trace/],
  [{ amount: '1', peak: '5' }, /expected --amount or --peak, got both/],
  [{ window: '5m..1m' }, /--window: expected a begin before the end/],
  [{ window: 'peak' }, /--window: expected a duration/],
  [{ speed: '0' }, /--speed: expected a number/],
] as const) {
  test(`the replay ${JSON.stringify(texts)} is refused`, () => {
    const trace = { name: 'x', trace: parseTrace('t\n0\n1000\n') };
    assert.throws(() => planOfTexts(texts, undefined, trace), message);
  });
}

test('durations and rates have units', () => {
  assert.deepEqual(
    ['250ms', '1.5s', '2m', '1h'].map((text) => readDuration(text, 'x')),
    [250, 1_500, 120_000, 3_600_000],
  );
  for (const text of ['', '5', '-5s', '0s', '5 s x'])
    assert.throws(() => readDuration(text, 'x'), /x: expected a duration/);
  assert.deepEqual([readRate('300', 'x', undefined), readRate('0.7x', 'x', 300)], [300, 210]);
});
