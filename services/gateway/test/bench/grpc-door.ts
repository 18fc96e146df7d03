/**
 * Requests/s of the gRPC door alone (no NATS, no worker: the pipeline is answered in the same turn) beside a bare grpc-js echo,
 * client and server in two processes:
 * node services/gateway/test/bench/grpc-door.ts [seconds=5] [in flight=64] [channels=4] [rounds=3]
 * Medians of the rounds; of the servers' CPU time the least, for other load on the machine only adds to it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { argv, env } from 'node:process';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { tensorsCodec } from '@spillway/contracts/messages';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { RequestIds } from '@spillway/lifecycle/ids';
import { createLogger } from '@spillway/telemetry/logger';
import { createMetrics } from '@spillway/telemetry/metrics';
import { openGrpcDoor } from '../../src/adapters/grpc-door.ts';
import { Admission } from '../../src/core/admission/admission.ts';
import { KeyRing } from '../../src/core/identity.ts';
import { JobQuota } from '../../src/core/job-quota.ts';
import { ModelStatistics } from '../../src/core/model-statistics.ts';
import { Pipeline } from '../../src/core/pipeline.ts';
import { WireWriter } from '../../src/core/wire-writer.ts';
import { observeRequests } from '../../src/telemetry.ts';
import { mlp } from '../unit/fixtures.ts';

const COLUMNS = 64;
const UNARY = '/inference.GRPCInferenceService/ModelInfer';
const STREAM = '/inference.GRPCInferenceService/ModelStreamInfer';
const same = (bytes: Buffer): Buffer => bytes;
const model = { ...mlp, maxBatchSize: 64, inputs: [{ name: 'x', datatype: 'FP32' as const, dims: [COLUMNS] }] };

/** Answers every request with one number, as a worker's reply would. */
async function serveDoor(): Promise<number> {
  const clock = monotonicClock;
  const y = { name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data: Buffer.alloc(4) };
  const tensors = tensorsCodec.encode({ tensors: [y] });
  const reply = { worker: 'gpu-worker-bench', model: 'mlp', version: '2', variant: '', runMs: 1, closedBy: 'size' };
  const flush = () => {
    for (const { items } of pipeline.flush()) {
      const answers = items.map(({ seq }) => ({
        seq,
        errorCode: '',
        errorMessage: '',
        errorReason: '',
        tensors,
        queueMs: 0.5,
      }));
      pipeline.onReply({ ...reply, batchId: 'b-1', batchRows: items.length, items: answers });
    }
  };
  const admission = new Admission({ instance: 'bench', random: Math.random, nowMs: clock.now() });
  admission.setModel(model);
  const pipeline: Pipeline = new Pipeline(
    {
      clock,
      model: (name) => (name === 'mlp' ? model : undefined),
      admission,
      statistics: new ModelStatistics(),
      cacheGet: () => undefined,
      cachePut: () => undefined,
      fetchFeatures: () => undefined,
      flushSoon: () => setImmediate(flush),
      cancelled: () => undefined,
    },
    { maxInFlight: 16_384, maxFrameBytes: 65_536 },
  );
  const log = createLogger({ service: 'gateway', instance: 'bench', level: 'silent' });
  const observer = observeRequests({
    clock,
    log,
    metrics: createMetrics('gateway'),
    tracesPerSecond: 20,
    traceRatio: 0.001,
    isModel: () => true,
    effects: admission.effects,
  });
  const door = await openGrpcDoor(
    {
      clock,
      ids: new RequestIds(),
      keys: new KeyRing([], { allowAnonymous: true, epochMs: () => 0 }),
      pipeline,
      catalogue: {
        get: () => model,
        list: () => [model],
        unloaded: () => undefined,
        listUnloaded: () => [],
        isLeaving: () => false,
        isReady: () => true,
        refresh: async () => undefined,
        loaded: Promise.resolve(),
        onChange: () => undefined,
        stop: () => undefined,
      },
      admission,
      statistics: { gather: async () => [] },
      control: { command: async () => undefined },
      observer,
      jobQuota: new JobQuota(admission, Math.random),
      jobs: {
        take: noJobs,
        find: noJobs,
        view: noJobs,
        ended: noJobs,
        changed: noJobs,
        cancel: noJobs,
        list: noJobs,
      },
      keyed: { submit: (_call, request, settle) => pipeline.submit(request, settle), isKnown: async () => false },
      maxBodyBytes: 4 << 20,
      isReady: () => true,
    },
    { host: '127.0.0.1', port: 0 },
  );
  return door.port;
}

const noJobs = (): Promise<never> => Promise.reject(new Error('this bench has no jobs'));

/** The least that grpc-js can do: bytes in, four bytes out. */
function serveEcho(): Promise<number> {
  const method = (path: string, stream: boolean) => ({
    path,
    requestStream: stream,
    responseStream: stream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  });
  const answer = Buffer.alloc(60);
  const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
  server.addService(
    { infer: method(UNARY, false), stream: method(STREAM, true) },
    {
      infer: (_call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => done(null, answer),
      stream: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', () => call.write(answer));
        call.on('end', () => call.end());
      },
    },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

function requestBytes(): Buffer {
  const writer = new WireWriter();
  writer.string(1, 'mlp');
  const input = writer.begin(5);
  writer.string(1, 'x');
  writer.string(2, 'FP32');
  writer.packed(3, [1, COLUMNS]);
  writer.end(input);
  writer.bytes(7, Buffer.alloc(4 * COLUMNS));
  return writer.finish();
}

type Measured = { perSecond: number; serverCpuUs: number };

/** One server, so many seconds of closed loop. */
async function measure(kind: 'door' | 'echo', how: 'unary' | 'stream', plan: Plan): Promise<Measured> {
  const child = fork(fileURLToPath(import.meta.url), { env: { ...env, BENCH_SERVER: kind } });
  const [port] = (await once(child, 'message')) as [number];
  const clients = Array.from({ length: plan.channels }, () => connect(port));
  const request = requestBytes();
  let answered = 0;
  let stopped = false;
  const onAnswer = (error?: Error | null) => {
    if (error && !stopped) throw error;
    answered += 1;
  };
  for (let i = 0; i < plan.inFlight; i += 1) {
    const client = clients[i % clients.length] as grpc.Client;
    if (how === 'unary') unaryLoop(client, request, onAnswer, () => stopped);
    else if (i < clients.length) streamLoop(client, request, Math.ceil(plan.inFlight / clients.length), onAnswer);
  }
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const before = { answered, atMs: performance.now(), cpuUs: await cpuOf(child) };
  await new Promise((resolve) => setTimeout(resolve, plan.seconds * 1_000));
  const count = answered - before.answered;
  const perSecond = count / ((performance.now() - before.atMs) / 1_000);
  const serverCpuUs = ((await cpuOf(child)) - before.cpuUs) / count;
  stopped = true;
  child.disconnect();
  for (const client of clients) client.close();
  await once(child, 'exit');
  return { perSecond, serverCpuUs };
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [us] = (await once(child, 'message')) as [number];
  return us;
}

const connect = (port: number): grpc.Client =>
  new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_channelz': 0,
  });

function unaryLoop(
  client: grpc.Client,
  request: Buffer,
  onAnswer: (error?: Error | null) => void,
  over: () => boolean,
) {
  const metadata = new grpc.Metadata();
  const call = () => {
    if (over()) return;
    client.makeUnaryRequest(UNARY, same, same, request, metadata, {}, (error) => {
      onAnswer(error);
      call();
    });
  };
  call();
}

function streamLoop(client: grpc.Client, request: Buffer, inFlight: number, onAnswer: () => void) {
  const call = client.makeBidiStreamRequest(STREAM, same, same, new grpc.Metadata(), {});
  call.on('data', () => {
    onAnswer();
    call.write(request);
  });
  call.on('error', () => undefined); // the server has gone
  for (let i = 0; i < inFlight; i += 1) call.write(request);
}

type Plan = { seconds: number; inFlight: number; channels: number };

async function serve(kind: string): Promise<void> {
  const port = await (kind === 'door' ? serveDoor() : serveEcho());
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
  process.once('disconnect', () => process.exit());
  process.send?.(port);
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number;

async function main(): Promise<void> {
  const [seconds = 5, inFlight = 64, channels = 4, rounds = 3] = argv.slice(2).map(Number);
  const plan = { seconds, inFlight, channels };
  for (const how of ['unary', 'stream'] as const) {
    const runs: { echo: Measured; door: Measured }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      runs.push({ echo: await measure('echo', how, plan), door: await measure('door', how, plan) });
    }
    const show = (kind: 'echo' | 'door') => {
      const perSecond = median(runs.map((run) => run[kind].perSecond));
      const cpuUs = Math.min(...runs.map((run) => run[kind].serverCpuUs));
      return `${kind} ${perSecond.toFixed(0)}/s (${cpuUs.toFixed(1)} µs CPU each)`;
    };
    const ratio = median(runs.map(({ echo, door }) => door.perSecond / echo.perSecond));
    console.log(`${how}: ${show('echo')}, ${show('door')}, door / echo ${ratio.toFixed(2)}`);
  }
}

const kind = env['BENCH_SERVER'];
await (kind === undefined ? main() : serve(kind));
