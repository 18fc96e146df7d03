import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isFree } from '../../src/port-check.ts';
import { childrenByParent, startTicks } from '../../src/process-info.ts';
import type { MeshState } from '../../src/state-file.ts';

const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
const home = mkdtempSync(join(tmpdir(), 'spillway-up-'));
const CASE = `{"INPUT0": [${Array(16).fill(3)}], "INPUT1": [${Array(16).fill(1)}]}`;
let portBase = 0;

type Ended = { code: number; out: string; err: string };

function spillway(...args: string[]): Promise<Ended> {
  const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
  const options = { env: { PATH, HOME, NODE_COMPILE_CACHE, SPILLWAY_HOME: home }, timeout: 240_000 };
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], options, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

async function state(): Promise<MeshState> {
  return JSON.parse((await spillway('status', '--json')).out) as MeshState;
}

/** The launcher and everything below it: services, servers, executors, the guardian. */
function family(pid: number, children = childrenByParent()): number[] {
  return [pid, ...(children.get(pid) ?? []).flatMap((child) => family(child, children))];
}

async function until(condition: () => boolean | Promise<boolean>, what: string, withinMs = 60_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await condition())) {
    assert.ok(performance.now() < endMs, `not within ${withinMs} ms: ${what}`);
    await delay(50);
  }
}

async function freeBase(): Promise<number> {
  for (;;) {
    const base = 10_000 + 60 * Math.floor(Math.random() * 160);
    const free = await Promise.all(Array.from({ length: 60 }, (_, i) => isFree(base + i)));
    if (free.every(Boolean)) return base;
  }
}

const up = () => spillway('up', '--detach', '--port-base', String(portBase));

before(async () => {
  portBase = await freeBase();
  const { code, err } = await up();
  assert.equal(code, 0, err);
});

after(async () => {
  await spillway('down', '--now');
  rmSync(home, { recursive: true, force: true });
});

test('when up returns, every process is ready and a call without a key is answered', async () => {
  const { code, out } = await spillway('status');
  assert.equal(code, 0, out);
  const { endpoints, services } = await state();
  assert.deepEqual(services.map(({ instance }) => instance).sort(), [
    ...['batcher-1', 'cache-1', 'feature-service-1', 'gateway-1', 'gpu-worker-1', 'nats', 'redis'],
  ]);
  const tensor = { name: 'x', datatype: 'FP32', shape: [1, 1], data: [0.5] };
  const body = JSON.stringify({ inputs: [tensor] });
  const answer = await fetch(`${endpoints.http}/v2/models/simulated/infer`, { method: 'POST', body });
  assert.equal(answer.status, 200);
});

test('infer prints the answer, and trace draws its way from the door to the model', async () => {
  const answered = await spillway('infer', 'simple', '--data', CASE);
  assert.equal(answered.code, 0, answered.err);
  assert.match(answered.out, /^OUTPUT0 {2}INT32 \[1, 16\] {2}\[4,4,/m);
  assert.match(answered.out, /^OUTPUT1 {2}INT32 \[1, 16\] {2}\[2,2,/m);
  const [, id = ''] = /trace ([0-9a-f]{32})/.exec(answered.err) ?? [];
  const whole = (out: string) => out.includes('gpu-worker') && out.includes('reply');
  let drawn = await spillway('trace', id);
  // Every process sends its spans once a second: at first only some of them have come.
  for (let tries = 0; tries < 100 && !whole(drawn.out); tries += 1) drawn = await spillway('trace', id);
  assert.equal(drawn.code, 0, drawn.err);
  for (const service of ['gateway', 'batcher', 'gpu-worker']) assert.ok(drawn.out.includes(service), drawn.out);
});

test('infer says what a model takes when the input does not fit', async () => {
  const { code, err } = await spillway('infer', 'simple', '--data', '{"INPUT0": [1, 2]}');
  assert.equal(code, 2);
  assert.match(err, /INPUT0: expected shape \[-1, 16\], got \[1, 2\]/);
});

test('a second up says that one runs, and leaves it alone', async () => {
  const { code, err } = await up();
  assert.equal(code, 1);
  assert.match(err, /a mesh already runs here: pid \d+/);
  assert.equal((await spillway('status')).code, 0);
});

test('a mesh on another folder is told which ports are taken and by whom', async () => {
  const { PATH } = process.env;
  const env = { PATH, SPILLWAY_HOME: `${home}/other` };
  const { code, err } = await new Promise<Ended>((resolve) => {
    execFile(process.execPath, [main, 'up', '--port-base', String(portBase)], { env }, (error, out, stderr) =>
      resolve({ code: Number(error?.code), out, err: stderr }),
    );
  });
  assert.equal(code, 1);
  assert.match(err, new RegExp(`port ${portBase} \\(gateway-1, http\\) is held by pid \\d+: .*gateway`));
  assert.match(err, /--port-base/);
});

test('a killed gateway is back, and answers', async () => {
  const before = (await state()).services.find(({ instance }) => instance === 'gateway-1');
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await until(async () => {
    const now = (await state()).services.find(({ instance }) => instance === 'gateway-1');
    return now?.restarts === 1 && now.state === 'ready' && now.pid !== before?.pid;
  }, 'the gateway is ready again');
  await until(async () => (await spillway('infer', 'simple', '--data', CASE)).code === 0, 'it answers');
});

test('logs of one instance are shown by its name', async () => {
  const { code, out } = await spillway('logs', 'batcher', '-n', '5');
  assert.equal(code, 0);
  assert.match(out, /^\d\d:\d\d:\d\d\.\d\d\d (info|WARN)/m);
  assert.equal((await spillway('logs', 'nobody')).code, 1);
});

test('a brake is shown with what is left of its time, until it is released', async () => {
  const { levers: none } = (await state()) as MeshState & { levers: unknown[] };
  assert.deepEqual(none, []);
  const braked = await spillway('brake', '0%', '--tenant', 'nobody', '--for', '3h');
  const [id = ''] = braked.out.split(':');
  assert.match((await spillway('status')).out, new RegExp(`^${id} +brake to 0 % .* tenant nobody +3\\.0 h `, 'm'));
  assert.equal((await spillway('release')).code, 0);
  assert.match((await spillway('status')).out, /^no lever is pulled$/m);
});

test('preheat runs a model until it is steady, puts answers into the cache, and reads features', async () => {
  const model = await spillway('preheat', 'model', 'simulated', '--rows', '2');
  assert.equal(model.code, 0, model.err);
  assert.match(model.out, /^ +1 +\d+ .* steady\n +2 +\d+ .* steady\n$/m);

  const file = join(home, 'requests.jsonl');
  writeFileSync(file, '{"text": "where is my card?"}\n"how do I top up"\n');
  const cache = () => spillway('preheat', 'cache', 'intent', '--requests', file);
  assert.equal((await cache()).out, '2 requests: 0 were there, 2 are new, 0 failed\n');
  await until(async () => (await cache()).out.includes('2 were there'), 'both answers lie in the cache');

  const ids = join(home, 'ids');
  writeFileSync(ids, '1\n111\nnobody\n');
  const features = async () => (await spillway('preheat', 'features', 'credit_profile', '--entities', ids)).out;
  // A source that is late, on a busy machine, is answered for by defaults.
  await until(
    async () => /^3 entities; values: \d+ present, \d+ missing$/m.test(await features()),
    'the sources answer for all three entities',
  );
});

test('down drains and leaves nothing behind; the next up finds everything free', async () => {
  const pids = family((await state()).pid);
  assert.ok(pids.length >= 9, `${pids.length} processes`);
  assert.equal((await spillway('down')).code, 0);
  assert.deepEqual(pids.filter(startTicks), []);
  assert.equal((await spillway('status')).code, 3);
  const { code, err } = await up();
  assert.equal(code, 0, err);
});

test('kill -9 of the launcher leaves no process behind, executors and servers included', async () => {
  const { pid } = await state();
  const pids = family(pid);
  assert.ok(pids.length >= 9, `${pids.length} processes`);
  process.kill(pid, 'SIGKILL');
  await until(() => pids.every((one) => startTicks(one) === undefined), 'all have ended');
  assert.equal((await spillway('status')).code, 3);
});
