import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBucket } from '@spillway/bus/kv';
import { watchLeases } from '@spillway/bus/leases';
import {
  type CommandOutcome,
  MODEL_COMMANDS,
  MODELS,
  type ModelCommand,
  type ModelRecord,
} from '@spillway/contracts/buckets';
import { monotonicClock } from '@spillway/lifecycle/clock';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { type BatcherPeer, startBatcherPeer, type WorkerStream } from '../support/batcher-peer.ts';
import { fp32Of, makeBatch } from '../support/batches.ts';
import { fixture, makeRepository } from '../support/fixtures.ts';
import { fp32 } from '../support/tensors.ts';
import { openInbox, startWorker, suspend } from '../support/worker.ts';

/** y = x W + b; [1, 0, 0] gives [1, 2] + b. */
const LINEAR = fixture('linear');
const bytesOf = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
function linearWith(...bias: [number, number]): Buffer {
  const at = LINEAR.indexOf(bytesOf(0.5, -0.5));
  return Buffer.concat([LINEAR.subarray(0, at), bytesOf(...bias), LINEAR.subarray(at + 8)]);
}

const EXPLICIT = { GPU_WORKER_MODEL_CONTROL_MODE: 'explicit' };
let nats: TestServer;
let batcher: BatcherPeer;
let inbox: Awaited<ReturnType<typeof openInbox>>;
let leases: ReturnType<typeof watchLeases>;

before(async () => {
  nats = await startNatsServer();
  batcher = await startBatcherPeer(nats.url, 'batcher-1');
  inbox = await openInbox(nats.url);
  leases = watchLeases(batcher.bus, 'gpu-worker', monotonicClock);
});
after(async () => {
  leases?.stop();
  await inbox?.[Symbol.asyncDispose]();
  await batcher?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

let given = 0;
/** Gives a command as a gateway does, and waits for what the worker says of it. */
async function command(model: string, wanted: ModelCommand['wanted']): Promise<CommandOutcome> {
  given += 1;
  const id = `command-${given}`;
  const value: ModelCommand = { id, model, wanted, createdAt: 0, by: 'test/key' };
  await openBucket<ModelCommand>(batcher.bus, MODEL_COMMANDS).put(model, value);
  const outcome = () => leases.list()[0]?.commands?.find((candidate) => candidate.id === id);
  await until(`${wanted} ${model}`, () => outcome() !== undefined, 60_000);
  return outcome() as CommandOutcome;
}

const served = ({ hello }: WorkerStream, name: string) => hello?.models.find(({ model }) => model === name);
const recordOf = (model: string) => openBucket<ModelRecord>(batcher.bus, MODELS).get(model);
const oneRow = (version: string) =>
  makeBatch('linear', [[fp32('x', [1, 3], [1, 0, 0])]], { replyTo: [inbox.subject], version });

async function answerOf(worker: WorkerStream, version: string): Promise<number[]> {
  await until('a credit', () => (worker.credits.get('linear') ?? 0) > 0);
  const batch = oneRow(version);
  batcher.send(worker, batch);
  const [frame] = await inbox.wait(batch.batchId);
  return [...fp32Of(frame?.items[0], 'y')];
}

/** Resolves when the worker has read what was sent: it gives back at once what it cannot start. */
async function hasRead(worker: WorkerStream): Promise<void> {
  const batch = oneRow('9');
  batcher.send(worker, batch);
  await until('the worker reads', () => worker.done.some(({ batchId }) => batchId === batch.batchId));
}

/** Sends batches on every credit that is granted, until it is told to stop; then gives their ids once all have ended. */
function load(worker: WorkerStream, version: string) {
  const sent: string[] = [];
  let running = true;
  const over = (async () => {
    while (running) {
      while ((worker.credits.get('linear') ?? 0) > 0) {
        const batch = oneRow(version);
        sent.push(batch.batchId);
        batcher.send(worker, batch);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const ended = () => worker.done.filter(({ batchId }) => sent.includes(batchId));
  return {
    sent,
    async stop() {
      running = false;
      await over;
      await until('every batch ended', () => ended().length === sent.length);
      return ended();
    },
  };
}

test('a model is swapped under running requests: none is lost, and the former executors end', async () => {
  await using models = await makeRepository({
    linear: { graph: 'linear', yaml: 'max_deadline_ms: 600' },
    other: { graph: 'linear' },
  });
  await using own = await startWorker(nats.url, models.dir, EXPLICIT);
  const worker = await batcher.worker('linear');
  assert.deepEqual(await answerOf(worker, '1'), [1.5, 1.5]);
  const running = load(worker, '1');
  await until('some answers', () => running.sent.length > 20);
  await writeFile(join(models.dir, 'linear', '1', 'model.onnx'), linearWith(100, 200));
  assert.equal((await command('linear', 'loaded')).error, undefined);
  await until('the batcher hears of it', () => served(worker, 'linear')?.generation === 1);
  const before = running.sent.length;
  await until('more answers', () => running.sent.length > before + 20);
  const ended = await running.stop();
  const bad = ended.filter(({ errorCode, notStarted, lost }) => errorCode !== '' || notStarted || lost);
  assert.deepEqual(bad, [], 'every batch ran');
  const frames = await Promise.all(running.sent.map(async (id) => (await inbox.wait(id))[0]));
  const answers = frames.map((frame) => fp32Of(frame?.items[0], 'y')[0]);
  assert.deepEqual([...new Set(answers)], [1.5, 101], 'the old graph first, then the new one, and no way back');

  // A second generation takes the place of the first, whose executor hosts nothing else.
  assert.equal((await command('linear', 'loaded')).error, undefined);
  const executors = async () => /spillway_executors(?:\{.*\})? (\d+)/.exec(await page(own.url))?.[1];
  await until('the first generation has ended', async () => (await executors()) === '2');
});

test('a new version takes over while requests for the former one are still answered; a bad one changes nothing', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear', yaml: 'max_deadline_ms: 60000' } });
  await using _own = await startWorker(nats.url, models.dir, EXPLICIT);
  const worker = await batcher.worker('linear');
  await mkdir(join(models.dir, 'linear', '2'));
  await writeFile(join(models.dir, 'linear', '2', 'model.onnx'), Buffer.from('not yet'));
  const failed = await command('linear', 'loaded');
  assert.match(failed.error?.text ?? '', /^version 2: /);
  assert.doesNotMatch(failed.error?.text ?? '', new RegExp(models.dir), 'no path of this machine');
  assert.deepEqual((await recordOf('linear'))?.versions, ['1']);
  assert.deepEqual(await answerOf(worker, '1'), [1.5, 1.5]);

  await writeFile(join(models.dir, 'linear', '2', 'model.onnx'), linearWith(10, 20));
  assert.equal((await command('linear', 'loaded')).error, undefined);
  assert.deepEqual((await recordOf('linear'))?.versions, ['2']);
  await until('the batcher hears of it', () => served(worker, 'linear')?.versions.join() === '2');
  assert.match((await recordOf('linear'))?.loadedBy ?? '', /^command-/);
  assert.deepEqual(await answerOf(worker, '2'), [11, 22]);
  assert.deepEqual(await answerOf(worker, '1'), [1.5, 1.5], 'it was accepted before the shift');

  await writeFile(join(models.dir, 'linear', 'model.yaml'), 'max_batch_sise: 4');
  assert.match((await command('linear', 'loaded')).error?.text ?? '', /max_batch_sise: unknown member/);
  assert.deepEqual(await answerOf(worker, '2'), [11, 22]);
});

test('a model that was not there is loaded, one that is nowhere is refused', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear' } });
  await using _own = await startWorker(nats.url, models.dir, EXPLICIT);
  const worker = await batcher.worker('linear');
  const missing = await command('added', 'loaded');
  assert.equal(missing.error?.missing, true);
  await mkdir(join(models.dir, 'added', '1'), { recursive: true });
  await writeFile(join(models.dir, 'added', '1', 'model.onnx'), LINEAR);
  assert.equal((await command('added', 'loaded')).error, undefined);
  assert.deepEqual((await recordOf('added'))?.versions, ['1']);
  await until('credits for it', () => batcher.credits('added') > 0);
  const batch = makeBatch('added', [[fp32('x', [1, 3], [1, 0, 0])]], { replyTo: [inbox.subject] });
  batcher.send(worker, batch);
  const [frame] = await inbox.wait(batch.batchId);
  assert.deepEqual([...fp32Of(frame?.items[0], 'y')], [1.5, 1.5]);
});

test('an unloaded model finishes what was accepted, stays unloaded over a restart, and can be loaded again', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear' }, other: { graph: 'linear' } });
  {
    await using own = await startWorker(nats.url, models.dir, EXPLICIT);
    const worker = await batcher.worker('linear');
    const [pid] = (await own.record(({ msg }) => msg === 'models are loaded'))['executors'] as [number];
    using executor = suspend(pid); // while one of its batches is not over a model is not gone
    const running = oneRow('1');
    batcher.send(worker, running);
    await hasRead(worker);
    const unloading = command('linear', 'unloaded');
    await until('no further request is accepted', async () => (await recordOf('linear'))?.unloaded === true);
    const accepted = answerOf(worker, '1');
    executor.resume();
    assert.equal((await inbox.wait(running.batchId))[0]?.items[0]?.errorCode, '');
    assert.deepEqual(await accepted, [1.5, 1.5], 'what was accepted before is answered');
    assert.equal((await unloading).error, undefined);
    await until('the batcher hears of it', () => worker.hello?.models.map(({ model }) => model).join() === 'other');
    const leased = () => leases.list()[0]?.models?.map(({ model }) => model);
    await until('its lease says so', () => leased()?.join() === 'other');
  }
  await using _again = await startWorker(nats.url, models.dir, EXPLICIT);
  const worker = await batcher.worker('other');
  assert.deepEqual(
    worker.hello?.models.map(({ model }) => model),
    ['other'],
  );
  await until(
    'the command is known',
    () => leases.list()[0]?.commands?.some(({ model }) => model === 'linear') === true,
  );
  assert.equal((await command('linear', 'loaded')).error, undefined);
  assert.equal((await recordOf('linear'))?.unloaded, undefined);
  assert.deepEqual(await answerOf(worker, '1'), [1.5, 1.5]);
});

test('a worker that is killed in the middle of a load answers until then, and is back with what was commanded', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear' } });
  const version = join(models.dir, 'linear', '2');
  const file = join(version, 'model.onnx');
  await using own = await startWorker(nats.url, models.dir, EXPLICIT);
  const worker = await batcher.worker('linear');
  const before = childrenOf(own.pid);
  await mkdir(version);
  execFileSync('mkfifo', [file]); // whoever reads it waits, so the load does not end
  const loading = command('linear', 'loaded');
  await until('an executor that loads', () => childrenOf(own.pid).length > before.length);
  assert.deepEqual(await answerOf(worker, '1'), [1.5, 1.5]);
  const [executor] = childrenOf(own.pid).filter((pid) => !before.includes(pid));
  await own.kill('SIGKILL');
  process.kill(executor as number, 'SIGKILL'); // it waits for the file, and cannot see that its worker is gone
  await rm(file);
  await writeFile(file, linearWith(10, 20));
  await own.restart();
  assert.equal((await loading).error, undefined);
  assert.deepEqual((await recordOf('linear'))?.versions, ['2']);
  assert.deepEqual(await answerOf(await batcher.worker('linear'), '2'), [11, 22]);
});

test('without the mode no command is followed and none is spoken of', async () => {
  await using models = await makeRepository({ linear: { graph: 'linear' } });
  await openBucket<ModelCommand>(batcher.bus, MODEL_COMMANDS).put('linear', {
    ...{ id: 'ignored', model: 'linear', wanted: 'unloaded', createdAt: 0, by: 'test/key' },
  });
  await using _own = await startWorker(nats.url, models.dir);
  const worker = await batcher.worker('linear');
  assert.deepEqual(await answerOf(worker, '1'), [1.5, 1.5]);
  assert.equal(leases.list()[0]?.commands, undefined);
});

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number);
const page = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();
