/**
 * Requests/s through one batcher process and its processor time per request, with a gateway and a worker that do nothing else.
 * `node test/bench/throughput.ts [seconds]`. The three share the machine's cores; the CPU figure does not depend on that much.
 */
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { keepLease } from '@spillway/bus/leases';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { type WorkItem, workFrameCodec } from '@spillway/contracts/messages';
import { workSubject } from '@spillway/contracts/subjects';
import { freePort } from '@spillway/testing/free-port';
import { startNatsServer } from '@spillway/testing/nats-server';
import { startProcess } from '@spillway/testing/process';
import { until } from '@spillway/testing/until';
import { RECORD, TestWorker } from '../integration/bench.ts';

const SECONDS = Number(process.argv[2] ?? 4);
const TENSOR_BYTES = 290; // mlp: 64 floats and their header

const cpuSeconds = async (health: number): Promise<number> => {
  const page = await (await fetch(`http://127.0.0.1:${health}/metrics`)).text();
  return Number(/^process_cpu_seconds_total\S* (\S+)/m.exec(page)?.[1]);
};

await using nats = await startNatsServer();
const [grpc, health] = [await freePort(), await freePort()];
await using _batcher = await startProcess({
  name: 'batcher',
  file: new URL('../../src/main.ts', import.meta.url).pathname,
  env: {
    NATS_URL: nats.url,
    BATCHER_GRPC_PORT: String(grpc),
    BATCHER_HEALTH_PORT: String(health),
    ...(process.env['PROF'] ? { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${process.env['PROF']}` } : {}),
  },
  readyUrl: `http://127.0.0.1:${health}/readyz`,
});
await using bus = await connectBus({ url: nats.url, service: 'gateway', instance: 'gateway-1' });
const lease = keepLease(bus, () => ({ service: 'gateway', instance: 'gateway-1', address: '', state: 'ready' }));
await openBucket<ModelRecord>(bus, MODELS).put('m', { ...RECORD, maxBatchSize: 64 });

const tensors = Buffer.alloc(TENSOR_BYTES, 7);
const inbox = bus.inbox();
let seq = 0;
const publish = (requests: number) => {
  const items: WorkItem[] = Array.from({ length: requests }, () => {
    seq += 1;
    return {
      seq,
      requestId: `abcdefghij-${seq.toString(36)}`,
      budgetMs: 5_000,
      rows: 1,
      cost: 1,
      route: 0,
      traceparent: '',
      tensors,
      tenant: 'anonymous',
    };
  });
  const frame = {
    gateway: 'gateway-1',
    replyTo: inbox,
    sentMs: performance.now(),
    model: 'm',
    trafficClass: 'standard',
    routes: [{ version: '1', variant: '', shapes: 'x:FP32[64]' }],
    items,
  };
  void bus.publishToStream(workSubject('standard', 'm'), workFrameCodec.encode(frame)).catch(() => undefined);
};

/** Keeps `outstanding` requests under way, in frames of at most `frameSize`: what a batch takes is sent again. */
async function measure(outstanding: number, frameSize: number, label: string): Promise<void> {
  const worker = new TestWorker(`127.0.0.1:${grpc}`, {
    credits: 2,
    auto: true,
    maxBatchSize: 64,
    runMsOne: 100,
    runMsFull: 2,
  });
  await until('the worker is up', () => worker.up);
  let batches = 0;
  let requests = 0;
  let owed = 0;
  const received = worker.batches;
  received.push = (...more) => {
    for (const { items } of more) {
      batches += 1;
      requests += items.length;
      owed += items.length;
    }
    setImmediate(() => {
      while (owed > 0) {
        const size = Math.min(owed, frameSize);
        owed -= size;
        publish(size);
      }
    });
    return 0;
  };
  for (let left = outstanding; left > 0; left -= frameSize) publish(Math.min(left, frameSize));
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // warm
  const before = { cpu: await cpuSeconds(health), requests, batches, atMs: performance.now(), own: process.cpuUsage() };
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000));
  const n = requests - before.requests;
  const seconds = (performance.now() - before.atMs) / 1_000;
  const cpu = (await cpuSeconds(health)) - before.cpu;
  const own = process.cpuUsage(before.own);
  console.log(
    `${label.padEnd(34)} ${Math.round(n / seconds)} requests/s, ${Math.round((batches - before.batches) / seconds)} batches/s of ${(n / (batches - before.batches)).toFixed(1)}, ` +
      `batcher ${((cpu / n) * 1e6).toFixed(2)} µs CPU a request (${((100 * cpu) / seconds).toFixed(0)} % of a core); this process ${Math.round((own.user + own.system) / seconds / 1e4)} %`,
  );
  received.push = () => 0;
  await new Promise((resolve) => setTimeout(resolve, 500)); // what is under way runs out
  await worker.close();
  await new Promise((resolve) => setTimeout(resolve, 300));
}

const CASES = [
  [128, 64],
  [512, 64],
  [512, 16],
  [256, 4],
  [256, 1],
  [1, 1],
] as const;
const only = process.argv[3];
for (const [outstanding, frameSize] of CASES) {
  const label = `${outstanding} outstanding, frames ≤ ${frameSize}`;
  if (only === undefined || label.startsWith(only)) await measure(outstanding, frameSize, label);
}
await lease.release();
await _batcher.stop();
process.exit(0);
