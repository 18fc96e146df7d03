import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failures, rowsOf } from './run/report.ts';
import { PRODUCT, runTask, type Task } from './run/tasks.ts';

/** Short forms of the scenarios: virtual time, so the same on every machine. The full ones are `sim.ts`'s. */
const task = (scenario: string, name: string, seconds: number, seed = 1): Task => ({
  scenario,
  case: name,
  seed,
  ...PRODUCT,
  seconds,
  traces: [],
});

const holds = (tasks: readonly Task[]): void => assert.deepEqual(failures(rowsOf(tasks.map(runTask))), []);

test('at 2 and 5 times capacity goodput stays at capacity, vip is answered, and the end of the flood is the end of it', () => {
  holds([task('O1', '2×', 6, 1), task('O1', '5×', 10, 2)]);
});

test('requests that fill a batch each keep the only instance at work', () => {
  holds([task('O1', '5× of whole batches', 20)]);
});

test('clients that try four times at once change nothing', () => {
  holds([task('O3', '5×', 10)]);
});

test('half of the instances may stop and return', () => {
  holds([task('O4', '0.85×, half of the instances stop 5 s', 10)]);
});

test('state that is 250 ms old is extrapolated', () => {
  holds([task('O5', '250 ms', 4)]);
});

test('a capacity that is believed half is corrected', () => {
  holds([task('O7', 'capacity × 0.5', 6)]);
});

test('bulk has its floor while vip wants three quarters and everybody wants five times the whole', () => {
  holds([task('O9', '5×', 10)]);
});

test('short and long deadlines are served alike', () => {
  holds([task('O10', '80 and 400 ms', 10)]);
});

test('the same seed gives the same figures, another seed others', () => {
  const once = (seed: number): string => JSON.stringify(runTask(task('O1', '2×', 1, seed)).figures);
  const first = once(7);
  assert.equal(once(7), first);
  assert.notEqual(once(8), first);
});

test('a queue without admission collapses under the same flood', () => {
  const { figures } = runTask({ ...task('O1', '5×', 2), baseline: 'fifo' });
  const goodput = figures.find(({ name }) => name === 'goodput')?.value ?? Number.NaN;
  assert.ok(goodput < 50, `goodput of fifo ${goodput} %`);
});
