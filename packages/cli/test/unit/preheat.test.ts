import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkCached } from '../../src/preheat/cache.ts';
import { type Line, linesOf } from '../../src/preheat/lines.ts';
import { isSteady, stepsOf, zeroBody } from '../../src/preheat/model.ts';
import { PoliteCaller, retryAfterMs } from '../../src/preheat/polite.ts';
import { featuresTable, modelTable } from '../../src/preheat/tables.ts';
import { Pace, Progress, type Time } from '../../src/preheat/time.ts';

/** Time passes only when somebody sleeps. */
class SleepingTime implements Time {
  nowMs = 0;
  now = () => this.nowMs;
  sleep = async (ms: number) => {
    this.nowMs += ms;
  };
}

const answer = (status: number, headers: Record<string, string> = {}) => ({ status, headers, body: {}, tookMs: 1 });

test('a pace gives each unit its place, and none back after a pause', async () => {
  const time = new SleepingTime();
  const pace = new Pace(100, time);
  const began: number[] = [];
  for (const units of [1, 1, 5, 1]) {
    await pace.turn(units);
    began.push(time.nowMs);
  }
  assert.deepEqual(began, [0, 10, 20, 70]);
  time.nowMs = 1_000;
  await pace.turn();
  await pace.turn();
  assert.equal(time.nowMs, 1_010);
});

test('progress is told at most once a second', () => {
  const time = new SleepingTime();
  const said: string[] = [];
  const progress = new Progress((line) => said.push(line), time);
  for (time.nowMs = 0; time.nowMs < 2_500; time.nowMs += 100) progress.at(() => String(time.nowMs));
  assert.deepEqual(said, ['1000', '2000']);
});

test('a refusal says how long to stay away: exactly, in seconds, or not at all', () => {
  assert.equal(retryAfterMs(answer(503, { 'retry-after': '1', 'retry-after-ms': '250' })), 250);
  assert.equal(retryAfterMs(answer(429, { 'retry-after': '3' })), 3_000);
  assert.equal(retryAfterMs(answer(503)), 1_000);
  assert.equal(retryAfterMs(answer(200)), undefined);
  assert.equal(retryAfterMs(answer(504, { 'retry-after': '3' })), undefined);
});

test('after a refusal nothing is sent before the time that it named', async () => {
  const time = new SleepingTime();
  const caller = new PoliteCaller(time);
  const answers = [answer(503, { 'retry-after-ms': '700' }), answer(429, { 'retry-after': '2' }), answer(200)];
  const sentAt: number[] = [];
  const last = await caller.call(async () => {
    sentAt.push(time.nowMs);
    return answers.shift() ?? answer(500);
  });
  assert.equal(last.status, 200);
  assert.deepEqual(sentAt, [0, 700, 2_700]);
  assert.equal(caller.refusals, 2);
});

test('a request that is refused again and again is given up, and so is one that may come back only behind the end', async () => {
  const refusing = async () => answer(503, { 'retry-after-ms': '100' });
  const patient = new PoliteCaller(new SleepingTime());
  assert.equal((await patient.call(refusing)).status, 503);
  assert.equal(patient.refusals, 8);
  const hurried = new PoliteCaller(new SleepingTime(), 50);
  assert.equal((await hurried.call(refusing)).status, 503);
  assert.equal(hurried.refusals, 1);
});

test('a model is run in doubling batches up to its largest, for each of its length buckets', () => {
  const rows = (most: number) => stepsOf({ maxBatchSize: 32, costRule: 'rows' }, most).map((step) => step.rows);
  assert.deepEqual([rows(1), rows(6), rows(8)], [[1], [1, 2, 4, 6], [1, 2, 4, 8]]);
  const steps = stepsOf({ maxBatchSize: 32, costRule: 'bytes/4', lengthBuckets: [8, 32] }, 2);
  assert.deepEqual(steps, [
    { rows: 1, bytes: 32 },
    { rows: 2, bytes: 32 },
    { rows: 1, bytes: 128 },
    { rows: 2, bytes: 128 },
  ]);
});

test('a request of zeros has the rows of its step, also for texts, and one of each other variable dimension', () => {
  const inputs = [
    { name: 'x', datatype: 'FP32', shape: [-1, 2, -1] },
    { name: 't', datatype: 'BYTES', shape: [-1, 1] },
  ];
  const model = { name: 'm', versions: [], platform: '', inputs, outputs: [] };
  assert.deepEqual(zeroBody(model, true, { rows: 2, bytes: 3 }).inputs, [
    { name: 'x', datatype: 'FP32', shape: [2, 2, 1], data: [0, 0, 0, 0] },
    { name: 't', datatype: 'BYTES', shape: [2, 1], data: ['aaa', 'aaa'] },
  ]);
  const fixed = { ...model, inputs: [{ name: 'b', datatype: 'BOOL', shape: [2] }] };
  assert.deepEqual(zeroBody(fixed, false, { rows: 1, bytes: 3 }).inputs[0]?.data, [false, false]);
});

test('run times are steady when five take as long as the five before, within a tenth', () => {
  const five = (ms: number) => Array<number>(5).fill(ms);
  assert.equal(isSteady(five(10)), false);
  assert.equal(isSteady([...five(10), ...five(9)]), true);
  assert.equal(isSteady([...five(10), ...five(8)]), false);
  assert.equal(isSteady([...five(90), ...five(10), 10, 10, 99, 10, 10]), true);
});

test('only a model that keeps answers can have its cache preheated', () => {
  assert.throws(() => checkCached({ model: 'mlp' } as never), /the answers of mlp are not cached/);
  checkCached({ model: 'mlp', responseCache: { ttlMs: 1 } } as never);
});

test('lines are numbered, empty ones left out, the last needs no end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-lines-'));
  writeFileSync(join(folder, 'ids'), 'a\r\n\n b \nc');
  const lines: Line[] = [];
  for await (const line of linesOf({ cwd: folder }, 'ids')) lines.push(line);
  assert.deepEqual(lines, [
    { number: 1, text: 'a' },
    { number: 3, text: 'b' },
    { number: 4, text: 'c' },
  ]);
  const none = linesOf({ cwd: folder }, 'none');
  await assert.rejects(none.next(), /cannot read none: ENOENT/);
  await assert.rejects(linesOf({ cwd: folder }, '.').next(), /cannot read \.: EISDIR/);
  rmSync(folder, { recursive: true });
});

test('before and after are shown by size; a worker that gave no answer is named', () => {
  const step = { rows: 1, bytes: 5, runs: 12, firstMs: 4, steadyMs: 2, steady: true };
  const shown = modelTable({ steps: [step], workers: new Set(['w1']), fault: undefined }, ['w1', 'w2']);
  assert.match(shown[1] ?? '', /^ +1 +12 +4\.00 ms +2\.00 ms +steady$/);
  assert.match(shown[2] ?? '', /No answer came from w2/);
});

test('the values of features are counted by status', () => {
  const shown = featuresTable({ entities: 3, values: { present: 5, missing: 1 }, tookMs: new Map([['f1', [9, 1]]]) });
  assert.match(shown[1] ?? '', /^f1 +2 +9\.00 ms +1\.00 ms$/);
  assert.equal(shown[2], '3 entities; values: 5 present, 1 missing');
});
