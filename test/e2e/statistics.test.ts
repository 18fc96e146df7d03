import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { casesOf, oipRequest } from '../support/cases.ts';
import { call, infer } from '../support/infer.ts';
import { ALL_ADMITTED, startSeededMesh } from '../support/mesh-fixture.ts';

const REQUESTS = 60;
/** Of so many requests at once some run together; on a machine that lets them come one by one it takes more of these. */
const MOST_BURSTS = 50;
const SETTLED_WITHIN_MS = 60_000;

type Duration = { count: number; ns: number };
type Statistics = {
  inference_count: number;
  execution_count: number;
  inference_stats: Record<string, Duration>;
  batch_stats: { batch_size: number; compute_infer: Duration }[];
};

/** What a gateway says once it has heard of everything that was asked: another one that is slow to answer stands with what it said last. */
async function statisticsAt(address: string, asked: number): Promise<Statistics> {
  const endMs = performance.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const reply = await call({ address, method: 'GET', path: '/v2/models/mlp/stats' });
    const { model_stats } = JSON.parse(reply.text) as { model_stats?: [Statistics & { last_inference: number }] };
    if (reply.status === 200 && model_stats && model_stats[0].inference_count >= asked) {
      const { last_inference, ...totals } = model_stats[0]; // a time, and by another clock than the gateway's own: ± 1 ms
      return totals;
    }
    assert.ok(performance.now() < endMs, `${asked} were asked: ${reply.status} ${reply.text}`);
    await delay(50);
  }
}

test('statistics of two gateways are one sum: every row, every run, and no less when the worker is gone', async () => {
  await using mesh = await startSeededMesh({
    ...{ serves: ['mlp'], scale: { gateway: 2 }, env: { LOG_LEVEL: 'debug' } },
    serviceEnv: { gateway: ALL_ADMITTED },
  });
  const doors = mesh.of('gateway').map(({ http }) => http);
  const worker = mesh.of('gpu-worker')[0]!;
  const batcher = mesh.of('batcher')[0]!;
  const body = oipRequest(casesOf('mlp')[0]!);
  const ask = (n: number) =>
    infer({
      address: doors[n % doors.length]!,
      model: 'mlp',
      body,
      headers: { 'x-request-id': `r-${n}`, 'spillway-timeout-ms': '60000' },
      timeoutMs: 65_000,
    });
  let asked = 0;
  const burst = async (): Promise<void> => {
    const answers = Array.from({ length: REQUESTS }, (_, n) => ask(asked + n));
    asked += REQUESTS;
    for (const reply of await Promise.all(answers)) assert.equal(reply.status, 200, reply.text);
    const all = Array.from({ length: asked }, (_, n) => `r-${n}`);
    await batcher.record(() => new Set(batches().flat()).isSupersetOf(new Set(all)), SETTLED_WITHIN_MS); // behind the answers
  };
  const batches = (): string[][] =>
    batcher
      .records()
      .flatMap((record) => (record['msg'] === 'batch' ? [String(record['request_ids']).split(' ')] : []));
  const doorOf = (id: string): number => Number(id.slice('r-'.length)) % doors.length;
  const isShared = (ids: readonly string[]): boolean => new Set(ids.map(doorOf)).size === doors.length;
  await burst();
  for (let n = 1; n < MOST_BURSTS && !batches().some(isShared); n += 1) await burst();
  assert.ok(batches().some(isShared), 'no batch was filled by both gateways');

  const before = await Promise.all(doors.map((door) => statisticsAt(door, asked)));
  const runs = batches().length;
  // A worker that the machine kept silent for long is taken for hung: a request that was sent once more has run twice.
  const isExact = batches().flat().length === asked;
  for (const { inference_count, execution_count, inference_stats, batch_stats } of before) {
    assert.equal(inference_count, asked);
    assert.ok(execution_count < inference_count, `${execution_count} runs`);
    assert.deepEqual(
      ['success', 'queue', 'compute_infer', 'fail'].map((name) => inference_stats[name]?.count),
      [asked, asked, asked, 0],
    );
    if (!isExact) continue;
    assert.equal(execution_count, runs, 'as many as the batcher sent');
    const rows = batch_stats.reduce((sum, { batch_size, compute_infer }) => sum + batch_size * compute_infer.count, 0);
    assert.equal(rows, asked, 'each batch counts at its size');
  }
  await worker.kill('SIGKILL');
  assert.deepEqual(await Promise.all(doors.map((door) => statisticsAt(door, asked))), before);
});
