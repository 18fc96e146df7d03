import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulatedBackend, simulatedRun } from '../../src/core/simulated-backend.ts';

const x = { name: 'x', datatype: 'FP32' as const, shape: [8, 1], data: new Float32Array(8) };

function waits(random: number) {
  const slept: number[] = [];
  const blocked: number[] = [];
  const sleep = async (ms: number) => {
    slept.push(ms);
  };
  return { slept, blocked, wait: { sleep, block: (ms: number) => blocked.push(ms), random: () => random } };
}

test('a batch takes base_ms + per_row_ms × rows and returns its input under the output’s name', async () => {
  const { slept, wait } = waits(0.5);
  const backend = simulatedBackend(
    simulatedRun({ base_ms: 40, per_row_ms: 2 }),
    [{ name: 'y', datatype: 'FP32', dims: [1] }],
    wait,
  );
  assert.equal(backend.provider, 'simulated');
  assert.deepEqual(await backend.run([x]), [{ ...x, name: 'y' }]);
  assert.deepEqual(slept, [56]);
});

test('jitter is a share, up or down', async () => {
  const { slept, wait } = waits(1);
  await simulatedBackend(simulatedRun({ base_ms: 100, per_row_ms: 0, jitter: 0.25 }), [], wait).run([x]);
  assert.deepEqual(slept, [125]);
});

test('blocking holds the thread instead of waiting', async () => {
  const { slept, blocked, wait } = waits(0.5);
  await simulatedBackend(simulatedRun({ base_ms: 10, per_row_ms: 0, blocking: true }), [], wait).run([x]);
  assert.deepEqual([slept, blocked], [[], [10]]);
});

test('a parameter that is no number in range is refused by name', () => {
  assert.throws(() => simulatedRun({ base_ms: 'soon' }), /parameters\.base_ms: expected a number ≥ 0, got soon/);
  assert.throws(() => simulatedRun({ jitter: 2 }), /parameters\.jitter: expected a number from 0 to 1, got 2/);
});
