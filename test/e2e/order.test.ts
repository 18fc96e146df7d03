import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CLASSES, type TrafficClass } from '@spillway/contracts/classes';
import type { MeshInstance } from '@spillway/testing/mesh';
import { infer } from '../support/infer.ts';
import { ALL_ADMITTED, metric, startSeededMesh } from '../support/mesh-fixture.ts';
import { makeModelRepository } from '../support/model-repository.ts';

const BATCH = 4;
const PER_CLASS = 2 * BATCH; // what a batcher holds of a class; the rest would wait in JetStream in order of arrival
const PLUGS = 2; // batches that a stopped worker still takes: one running, one staged
/** Budgets are so far apart that it does not matter when which request arrives. */
const LONGEST_BUDGET_MS = 300_000;
const BUDGET_STEP_MS = 30_000;
const WITHIN_MS = 60_000;
const MOST_TRIES = 12;

/** A worker that is silent for four runs is taken for hung: so long are these that all requests can be at the batcher before. */
const SMALL = `name: small
backend: simulated
max_batch_size: ${BATCH}
input: [{ name: x, data_type: TYPE_FP32, dims: [1] }]
output: [{ name: y, data_type: TYPE_FP32, dims: [1] }]
max_deadline_ms: ${LONGEST_BUDGET_MS}
parameters: { base_ms: 250, per_row_ms: 0, jitter: 0 }
`;

type Asked = { id: string; trafficClass: TrafficClass; budgetMs: number };
type BatchRecord = { msg: string; batch_id: string; class: string; rows: number; request_ids: string };

const batchesOf = (batcher: MeshInstance): BatchRecord[] =>
  batcher.records().filter((record) => record['msg'] === 'batch') as unknown as BatchRecord[];
const idsOf = (batcher: MeshInstance): string[] => batchesOf(batcher).flatMap((batch) => batch.request_ids.split(' '));

/** Whether the batcher holds so many rows. False: it has given up the worker, and asks for no work. */
async function untilHeld({ health }: MeshInstance, rows: number, suspects: number): Promise<boolean> {
  const endMs = performance.now() + WITHIN_MS;
  for (;;) {
    const held = await metric(health, 'spillway_queue_rows', { model: 'small' });
    if ((await metric(health, 'spillway_batcher_suspects_total')) > suspects) return false;
    if (held === rows) return true;
    assert.ok(performance.now() < endMs, `${held} rows are at the batcher`);
    await delay(10);
  }
}

test('what waited while the worker was stopped runs by class, and by deadline inside each class', async () => {
  await using models = await makeModelRepository({ small: { yaml: SMALL } });
  await using mesh = await startSeededMesh({
    ...{ serves: ['small'], models: models.dir, env: { LOG_LEVEL: 'debug' } },
    serviceEnv: { gateway: ALL_ADMITTED },
  });
  const worker = mesh.of('gpu-worker')[0]!;
  const batcher = mesh.of('batcher')[0]!;
  const ask = ({ id, trafficClass, budgetMs }: Asked) =>
    infer({
      address: mesh.url.slice('http://'.length),
      model: 'small',
      body: { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [0.25] }] },
      headers: {
        authorization: `Bearer ${mesh.keys[trafficClass]}`,
        'x-request-id': id,
        'spillway-timeout-ms': String(budgetMs),
      },
      timeoutMs: LONGEST_BUDGET_MS + 5_000,
    });

  /** Asks while the worker is stopped. @returns What was at the batcher when it went on; undefined: not all was. */
  const askAll = async (round: string): Promise<Asked[] | undefined> => {
    const suspects = await metric(batcher.health, 'spillway_batcher_suspects_total');
    const answers: ReturnType<typeof ask>[] = [];
    const asked: Asked[] = [];
    await worker.kill('SIGSTOP');
    for (let n = 0; n < PLUGS; n += 1) {
      const id = `${round}-plug-${n}`;
      answers.push(ask({ id, trafficClass: 'bulk', budgetMs: LONGEST_BUDGET_MS }));
      await batcher.record(() => idsOf(batcher).includes(id), WITHIN_MS);
    }
    for (const trafficClass of [...CLASSES].reverse()) {
      for (let n = 0; n < PER_CLASS; n += 1) {
        const budgetMs = LONGEST_BUDGET_MS - BUDGET_STEP_MS * n; // the later it comes, the more urgent it is
        asked.push({ id: `${round}-${trafficClass}-${n}`, trafficClass, budgetMs });
        answers.push(ask(asked.at(-1)!));
        await delay(1); // in several frames
      }
    }
    const areHeld = await untilHeld(batcher, asked.length, suspects);
    await worker.kill('SIGCONT');
    for (const reply of await Promise.all(answers)) assert.equal(reply.status, 200, reply.text);
    return areHeld ? asked : undefined;
  };

  // The worker has come to the batcher: else it is sent nothing.
  const first = await ask({ id: 'first', trafficClass: 'standard', budgetMs: LONGEST_BUDGET_MS });
  assert.equal(first.status, 200, first.text);
  let asked = await askAll('0');
  for (let n = 1; n < MOST_TRIES && asked === undefined; n += 1) asked = await askAll(String(n)); // the machine is crowded
  assert.ok(asked !== undefined, 'the requests never were at the batcher in time');
  const wanted = asked
    .toSorted((a, b) => CLASSES.indexOf(a.trafficClass) - CLASSES.indexOf(b.trafficClass) || a.budgetMs - b.budgetMs)
    .map(({ id }) => id);
  await batcher.record(() => new Set(idsOf(batcher)).isSupersetOf(new Set(wanted)), WITHIN_MS); // behind the answers
  const ran = [...new Set(idsOf(batcher))].filter((id) => wanted.includes(id)); // who runs once more was first before
  assert.deepEqual(ran, wanted);
  const sizes = batchesOf(batcher).map(({ rows }) => rows);
  assert.ok(
    sizes.every((rows) => rows <= BATCH),
    `rows ${sizes}`,
  );
});
