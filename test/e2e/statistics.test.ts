import assert from 'node:assert/strict';
import { test } from 'node:test';
import { casesOf, oipRequest } from '../support/cases.ts';
import { call, infer } from '../support/infer.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';

const REQUESTS = 60;
/** Batches that a stopped worker still takes. */
const PLUGS = 2;

type Duration = { count: number; ns: number };
type Statistics = {
  inference_count: number;
  execution_count: number;
  inference_stats: Record<string, Duration>;
  batch_stats: { batch_size: number; compute_infer: Duration }[];
};

async function statisticsAt(address: string): Promise<Statistics> {
  const reply = await call({ address, method: 'GET', path: '/v2/models/mlp/stats' });
  assert.equal(reply.status, 200, reply.text);
  const { model_stats } = JSON.parse(reply.text) as { model_stats: [Statistics & { last_inference: number }] };
  const { last_inference, ...totals } = model_stats[0]; // a time, and by another clock than the gateway's own: ± 1 ms
  return totals;
}

test('statistics of two gateways are one sum: every row, every run, and no less when the worker is gone', async () => {
  await using mesh = await startSeededMesh({ serves: ['mlp'], scale: { gateway: 2 }, env: { LOG_LEVEL: 'debug' } });
  const doors = mesh.of('gateway').map(({ http }) => http);
  const worker = mesh.of('gpu-worker')[0]!;
  const batcher = mesh.of('batcher')[0]!;
  const body = oipRequest(casesOf('mlp')[0]!);
  const ask = (n: number, id = `r-${n}`) =>
    infer({
      address: doors[n % doors.length]!,
      model: 'mlp',
      body,
      headers: { 'x-request-id': id, 'spillway-timeout-ms': '30000' },
      timeoutMs: 35_000,
    });
  for (const [n] of doors.entries()) assert.equal((await ask(n, `first-${n}`)).status, 200);
  // What comes while the worker stands still runs in few batches, which both gateways share.
  await worker.kill('SIGSTOP');
  const answers: ReturnType<typeof ask>[] = [];
  for (let n = 0; n < PLUGS; n += 1) {
    answers.push(ask(n, `plug-${n}`));
    await batcher.record((record) => String(record['request_ids'] ?? '').includes(`plug-${n}`));
  }
  for (let n = 0; n < REQUESTS; n += 1) answers.push(ask(n));
  await worker.kill('SIGCONT');
  for (const reply of await Promise.all(answers)) assert.equal(reply.status, 200, reply.text);

  const asked = doors.length + PLUGS + REQUESTS;
  const batches = () => batcher.records().filter((record) => record['msg'] === 'batch');
  const sent = () => batches().reduce((rows, batch) => rows + Number(batch['rows']), 0);
  await batcher.record(() => sent() === asked); // its log may come behind the answers
  const runs = batches().length;
  const before = await Promise.all(doors.map(statisticsAt));
  for (const { inference_count, execution_count, inference_stats, batch_stats } of before) {
    assert.equal(inference_count, asked);
    assert.equal(execution_count, runs, 'as many as the batcher sent');
    assert.ok(execution_count < inference_count, `${execution_count} runs`);
    assert.deepEqual(
      ['success', 'queue', 'compute_infer', 'fail'].map((name) => inference_stats[name]?.count),
      [asked, asked, asked, 0],
    );
    const rows = batch_stats.reduce((sum, { batch_size, compute_infer }) => sum + batch_size * compute_infer.count, 0);
    assert.equal(rows, asked, 'each batch counts at its size');
  }
  await worker.kill('SIGKILL');
  assert.deepEqual(await Promise.all(doors.map(statisticsAt)), before);
});
