/**
 * Batches/s, rows/s and CPU per batch of one worker with one executor: `node test/bench/throughput.ts [seconds]`. This
 * process plays the batcher and a gateway over the real streams; nats-server and the worker are processes of their own.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { batcherMessageCodec } from '@spillway/contracts/messages';
import { REPO } from '@spillway/testing/find-binary';
import { startNatsServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { startBatcherPeer } from '../support/batcher-peer.ts';
import { makeBatch } from '../support/batches.ts';
import { fp32 } from '../support/tensors.ts';
import { startWorker } from '../support/worker.ts';

const SECONDS = Number(process.argv[2] ?? 4);
const CLOCK_TICK_US = 10_000;

const cpuUs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_US;
};
const rssMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

await using nats = await startNatsServer();
const batcher = await startBatcherPeer(nats.url, 'batcher-1');
let frames = 0;
const inbox = batcher.bus.inbox();
batcher.bus.subscribe(inbox, () => {
  frames += 1;
});
const startedMs = performance.now();
const worker = await startWorker(nats.url, join(REPO, 'models'), {
  LOG_LEVEL: 'info',
  ...(process.env['WORKER_NODE_OPTIONS'] && { NODE_OPTIONS: process.env['WORKER_NODE_OPTIONS'] }),
});
console.log(`ready ${(performance.now() - startedMs).toFixed(0)} ms after its start`);
const pids = (await worker.record(({ msg }) => msg === 'models are loaded'))['executors'] as number[];
console.log(
  `resident, idle: worker ${rssMb(worker.pid).toFixed(0)} MB, executors ${pids.map((pid) => rssMb(pid).toFixed(0)).join(' and ')} MB`,
);
const stream = await batcher.worker('mlp');
await until('credits', () => stream.credits.get('mlp') === 2);

for (const rows of [64, 32, 16, 5, 1]) {
  const request = () => [fp32('x', [1, 64], Array.from({ length: 64 }, Math.random))];
  const batches = Array.from({ length: 16 }, () =>
    makeBatch('mlp', Array.from({ length: rows }, request), { replyTo: [inbox] }),
  );
  const messages = batches.map((batch) => ({ encoded: batcherMessageCodec.encode({ batch }) }));
  frames = 0;
  let sent = 0;
  let done = 0;
  let running = true;
  stream.stream.onMessage((message) => {
    if (message.done) done += 1;
    if (message.credits && running) stream.stream.send(messages[sent++ % 16]!);
  });
  const before = [worker.pid, ...pids].map(cpuUs);
  const fromMs = performance.now();
  for (let i = 0; i < 2; i += 1) stream.stream.send(messages[sent++ % 16]!);
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000));
  running = false;
  const seconds = (performance.now() - fromMs) / 1_000;
  const used = [worker.pid, ...pids].map((pid, i) => (cpuUs(pid) - before[i]!) / done);
  const rate = done / seconds;
  console.log(
    `${rows} rows: ${rate.toFixed(0)} batches/s, ${(rate * rows).toFixed(0)} rows/s; CPU a batch: worker ${used[0]!.toFixed(0)} µs, executor ${Math.max(...used.slice(1)).toFixed(0)} µs`,
  );
  await until('the last ends', () => done === sent);
  await until('the last answers', () => frames === sent);
}
console.log(
  `resident, after: worker ${rssMb(worker.pid).toFixed(0)} MB, executors ${pids.map((pid) => rssMb(pid).toFixed(0)).join(' and ')} MB`,
);
await worker.stop();
await batcher[Symbol.asyncDispose]();
