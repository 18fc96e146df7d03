import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CLASSES, type TrafficClass } from '@spillway/contracts/classes';
import { casesOf, oipRequest } from '../support/cases.ts';
import { infer } from '../support/infer.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { makeModelRepository, mlpWith } from '../support/model-repository.ts';

const BATCH = 4;
const PER_CLASS = 2 * BATCH; // what a batcher holds of a class; the rest would wait in JetStream in order of arrival
const PLUGS = 2; // batches that a stopped worker still takes: one running, one staged
const LONGEST_BUDGET_MS = 30_000;

type Asked = { id: string; trafficClass: TrafficClass; deadlineMs: number };
type BatchRecord = { msg: string; batch_id: string; class: string; rows: number; request_ids: string };

test('what waited while the worker was stopped runs by class, and by deadline inside each class', async () => {
  await using models = await makeModelRepository({ small: mlpWith('small', BATCH, `max_deadline_ms: 60000\n`) });
  await using mesh = await startSeededMesh({ serves: ['small'], models: models.dir, env: { LOG_LEVEL: 'debug' } });
  const address = mesh.url.slice('http://'.length);
  const body = oipRequest(casesOf('mlp')[0]!);
  const worker = mesh.of('gpu-worker')[0]!;
  const batcher = mesh.of('batcher')[0]!;
  const ask = (id: string, trafficClass: TrafficClass, budgetMs: number) =>
    infer({
      address,
      model: 'small',
      body,
      headers: {
        authorization: `Bearer ${mesh.keys[trafficClass]}`,
        'x-request-id': id,
        'spillway-timeout-ms': String(budgetMs),
      },
      timeoutMs: LONGEST_BUDGET_MS + 5_000,
    });
  assert.equal((await ask('warm', 'standard', 5_000)).status, 200);

  await worker.kill('SIGSTOP');
  const answers: ReturnType<typeof ask>[] = [];
  for (let n = 0; n < PLUGS; n += 1) {
    answers.push(ask(`plug-${n}`, 'bulk', LONGEST_BUDGET_MS));
    await batcher.record((record) => String(record['request_ids'] ?? '').includes(`plug-${n}`));
  }
  const asked: Asked[] = [];
  for (const trafficClass of [...CLASSES].reverse()) {
    for (let n = 0; n < PER_CLASS; n += 1) {
      const id = `${trafficClass}-${n}`;
      const budgetMs = LONGEST_BUDGET_MS - 1_000 * n; // the later it comes, the more urgent it is
      asked.push({ id, trafficClass, deadlineMs: performance.now() + budgetMs });
      answers.push(ask(id, trafficClass, budgetMs));
      await delay(10); // a frame for each, so that the order of arrival is known
    }
  }
  await delay(300); // all are at the batcher
  await worker.kill('SIGCONT');
  for (const reply of await Promise.all(answers)) assert.equal(reply.status, 200, reply.text);

  const batches = batcher.records().filter((r) => r['msg'] === 'batch') as unknown as BatchRecord[];
  const ran = batches
    .flatMap((batch) => batch.request_ids.split(' '))
    .map((id) => asked.find((one) => one.id === id))
    .filter((one) => one !== undefined);
  assert.equal(ran.length, asked.length);
  assert.deepEqual(
    ran.map(({ id }) => id),
    [...asked]
      .sort((a, b) => CLASSES.indexOf(a.trafficClass) - CLASSES.indexOf(b.trafficClass) || a.deadlineMs - b.deadlineMs)
      .map(({ id }) => id),
  );
  const sizes = batches.filter((batch) => /vip|standard|bulk-/.test(batch.request_ids)).map((batch) => batch.rows);
  assert.ok(
    sizes.every((rows) => rows <= BATCH),
    `rows ${sizes}`,
  );
});
