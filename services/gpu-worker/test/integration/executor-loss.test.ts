import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '@spillway/testing/until';
import { fp32Of, itemsOf, makeBatch } from '../support/batches.ts';
import { fixturePath, makeRepository } from '../support/fixtures.ts';
import { type Ended, startPool } from '../support/pool.ts';
import { fp32, int64 } from '../support/tensors.ts';

const FOREVER = 1e12; // turns of a loop in native code
const x = [fp32('x', [1, 3], [1, 0, 0])];
const SIMULATED = (parameters: string, more = ''): string => `
backend: simulated
max_batch_size: 4
input: [{ name: x, data_type: TYPE_FP32, dims: [3] }]
output: [{ name: y, data_type: TYPE_FP32, dims: [3] }]
parameters: { ${parameters} }
${more}`;

const isAnswer = (ended: Ended): boolean =>
  ended.how === 'done' && itemsOf(ended.frames).every((item) => item.errorCode === '');
/** One that has ended and waits for somebody to take its exit code is not. */
const isAlive = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};

test('a run that hangs is killed at its limit while other executors answer, and is replaced', async () => {
  await using models = await makeRepository({
    linear: { graph: 'linear' },
    hang: { yaml: SIMULATED('base_ms: 10000, per_row_ms: 0, blocking: true', 'run_limit_ms: 300') },
  });
  await using pool = await startPool(models.dir);
  const pids = pool.pool.pids();
  const slotsAtEnd = Promise.withResolvers<number>();
  const hung = pool.run(makeBatch('hang', [x])).then((ended) => {
    slotsAtEnd.resolve(pool.pool.slotsOf('hang'));
    return ended;
  });
  const staged = pool.run(makeBatch('hang', [x]));
  for (let i = 0; i < 50; i += 1)
    assert.ok(isAnswer(await pool.run(makeBatch('linear', [x]))), 'another executor answers meanwhile');
  const ended = await hung;
  assert.ok(ended.how === 'failed' && ended.loss.reason === 'run_limit', JSON.stringify(ended));
  assert.ok(ended.loss.ranMs >= 300, `killed after ${ended.loss.ranMs} ms`);
  assert.deepEqual(await staged, { how: 'not_started' });
  assert.equal(await slotsAtEnd.promise, 0, 'no credit is given for it then');
  await pool.ready();
  assert.equal(pool.pool.slotsOf('hang'), 1);
  const [lost] = pids.filter((pid) => !pool.pool.pids().includes(pid));
  assert.equal(lost, ended.loss.pid);
});

test('a loop in native code is ended by its limit, and the models of that executor are back', async () => {
  await using models = await makeRepository({
    linear: { graph: 'linear' },
    spin: { graph: 'spin', yaml: 'run_limit_ms: 300' },
    turn: { graph: 'spin' },
  });
  await using pool = await startPool(models.dir);
  const hung = pool.run(makeBatch('spin', [[int64('n', [1, 1], [FOREVER])]]));
  const staged = pool.run(makeBatch('linear', [x]));
  const waiting = pool.run(makeBatch('linear', [x]));
  const ended = await hung;
  assert.ok(ended.how === 'failed' && ended.loss.reason === 'run_limit', JSON.stringify(ended));
  assert.deepEqual([await staged, await waiting], [{ how: 'not_started' }, { how: 'not_started' }]);
  assert.deepEqual(await pool.run(makeBatch('linear', [x])), { how: 'not_started' }, 'nobody hosts it now');
  await pool.ready();
  assert.ok(isAnswer(await pool.run(makeBatch('linear', [x]))));
  assert.ok(isAnswer(await pool.run(makeBatch('turn', [[int64('n', [1, 1], [3])]]))));
  assert.equal(pool.pool.slotsOf('spin'), 1);
});

test('what waits for a hung executor runs on another one that hosts the model', async () => {
  await using models = await makeRepository({ spin: { graph: 'spin' } });
  await using pool = await startPool(models.dir, { shared: 2 });
  const [pid] = pool.pool.pids(); // of the one that gets the first batch
  const others: Ended[] = [];
  const quick = async () => others.push(await pool.run(makeBatch('spin', [[int64('n', [1, 1], [1])]])));
  const hung = pool.run(makeBatch('spin', [[int64('n', [1, 1], [FOREVER])]]));
  const all = Promise.all(Array.from({ length: 12 }, quick));
  await until('all but the one staged behind it have run', () => others.filter(isAnswer).length === 11);
  process.kill(pid as number, 'SIGKILL');
  assert.equal((await hung).how, 'failed');
  await all;
  assert.deepEqual(others.at(-1), { how: 'not_started' });
});

test('a killed executor is replaced, and only the batch it was in fails', async () => {
  await using models = await makeRepository({ spin: { graph: 'spin' } });
  await using pool = await startPool(models.dir);
  const [pid] = pool.pool.pids();
  const running = pool.run(makeBatch('spin', [[int64('n', [1, 1], [FOREVER])]]));
  const staged = pool.run(makeBatch('spin', [[int64('n', [1, 1], [1])]]));
  process.kill(pid as number, 'SIGKILL');
  const ended = await running;
  assert.ok(
    ended.how === 'failed' && ended.loss.reason === 'executor_died' && ended.loss.how === 'SIGKILL',
    JSON.stringify(ended),
  );
  assert.deepEqual(await staged, { how: 'not_started' });
  await pool.ready();
  assert.ok(isAnswer(await pool.run(makeBatch('spin', [[int64('n', [1, 1], [1])]]))));
});

test('an idle executor that dies is replaced before anybody asks', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear' } });
  await using pool = await startPool(models.dir);
  const [pid] = pool.pool.pids();
  process.kill(pid as number, 'SIGKILL');
  while (pool.losses.length === 0) await delay(5);
  await pool.ready();
  assert.notDeepEqual(pool.pool.pids(), [pid]);
  const ended = await pool.run(makeBatch('linear', [x]));
  assert.deepEqual([...fp32Of(ended.how === 'done' ? itemsOf(ended.frames)[0] : undefined, 'y')], [1.5, 1.5]);
});

test('a stopped executor is no different from a hung one', async () => {
  await using models = await makeRepository({
    linear: { graph: 'linear' },
    other: { graph: 'linear', yaml: 'run_limit_ms: 200' },
  });
  await using pool = await startPool(models.dir);
  process.kill(pool.pool.pids()[0] as number, 'SIGSTOP');
  const ended = await pool.run(makeBatch('other', [x]));
  assert.ok(ended.how === 'failed' && ended.loss.reason === 'run_limit');
  await pool.ready();
  assert.ok(isAnswer(await pool.run(makeBatch('linear', [x]))));
});

test('a model whose warm-up never ends is given up at the load limit, and the others are served', async () => {
  const yaml = 'max_batch_size: 2\nmodel_warmup: [{ name: w, inputs: { n: { dims: [1] } } }]';
  await using models = await makeRepository({
    endless: { graph: 'endless-warm-up', yaml },
    linear: { graph: 'linear' },
  });
  await using pool = await startPool(models.dir, { firstLoadLimitMs: 1_500 });
  const error = pool.loaded.find((loaded) => loaded.model === 'endless')?.error;
  assert.match(error ?? '', /took longer than 1500 ms to load/);
  assert.ok(isAnswer(await pool.run(makeBatch('linear', [x]))));
});

test('a provider that is not there fails the load, or falls back when that is allowed, and says so', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear' } });
  {
    await using pool = await startPool(models.dir, { providers: ['cuda'] });
    assert.match(pool.loaded[0]?.error ?? '', /provider cuda: /);
  }
  await using pool = await startPool(models.dir, { providers: ['cuda', 'cpu'] });
  assert.equal(pool.loaded[0]?.provider, 'cpu');
  assert.match(pool.loaded[0]?.warning ?? '', /provider cuda: /);
  assert.ok(isAnswer(await pool.run(makeBatch('linear', [x]))));
});

test('executors end with the process that started them, however it ends', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear' } });
  const support = fileURLToPath(new URL('../support/pool.ts', import.meta.url));
  const script = `
    const { startPool } = await import(${JSON.stringify(support)});
    const { pool } = await startPool(${JSON.stringify(models.dir)});
    console.log(pool.pids().join(','));
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pids = line.toString().trim().split(',').map(Number);
  assert.ok(pids.length > 0 && pids.every(isAlive));
  parent.kill('SIGKILL');
  const endMs = performance.now() + 30_000;
  while (pids.some(isAlive) && performance.now() < endMs) await delay(10);
  assert.ok(!pids.some(isAlive), `they outlived it; fixtures lie at ${fixturePath('linear')}`);
});
