import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@spillway/testing/free-port';
import { startTicks } from '../../src/process-info.ts';

type Launched = {
  launcher: ChildProcess;
  pids: number[];
  exited: Promise<unknown[]>;
  /** What the first child has written. */
  log(): string;
} & Disposable;

/** A launcher with two children, each with a child of its own; resolves when all run. */
async function launch(env: Record<string, string> = {}): Promise<Launched> {
  const dataDir = mkdtempSync(join(tmpdir(), 'spillway-launcher-'));
  const program = join(import.meta.dirname, '..', 'fixtures', 'launcher.ts');
  const ports = [await freePort(), await freePort()].map(String);
  const launcher = spawn(process.execPath, [program, dataDir, ...ports], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(launcher, 'exit');
  const children = await new Promise<number[]>((resolve, reject) => {
    createInterface({ input: launcher.stdout }).on('line', (line) => {
      const match = /^pids (.*)$/.exec(line);
      if (match?.[1]) resolve(match[1].split(' ').map(Number));
    });
    launcher.once('exit', () => reject(new Error('the launcher ended before its children were ready')));
  });
  const grandchildren = ['child-1', 'child-2'].map((name) =>
    Number(/grandchild (\d+)/.exec(readFileSync(join(dataDir, 'logs', `${name}.log`), 'utf8'))?.[1]),
  );
  return {
    ...{ launcher, exited },
    log: () => readFileSync(join(dataDir, 'logs', 'child-1.log'), 'utf8'),
    pids: [...children, ...grandchildren],
    [Symbol.dispose]: () => {
      launcher.kill('SIGKILL');
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

// One that has ended but was not collected yet (a container without an init) does not count.
const isAlive = (pid: number): boolean => startTicks(pid) !== undefined;

async function assertAllEnd(pids: number[]): Promise<void> {
  const endMs = performance.now() + 30_000; // what is left behind stays for minutes
  while (pids.some(isAlive)) {
    assert.ok(performance.now() < endMs, `still alive: ${pids.filter(isAlive)}`);
    await delay(20);
  }
}

test('Ctrl-C drains, and leaves nothing behind', async () => {
  using launched = await launch();
  assert.ok(launched.pids.every(isAlive));
  launched.launcher.kill('SIGINT');
  const [code] = await launched.exited;
  assert.equal(code, 0);
  await assertAllEnd(launched.pids);
});

test('a second Ctrl-C ends everything at once', async () => {
  using launched = await launch({ DEAF: '1' }); // a drain would take its whole grace
  launched.launcher.kill('SIGINT');
  while (!launched.log().includes('drained at')) await delay(10); // two signals at once would be one
  launched.launcher.kill('SIGINT');
  const [code] = await launched.exited;
  assert.equal(code, 130);
  await assertAllEnd(launched.pids);
});

test('kill -9 of the launcher leaves nothing behind, nor what the children had started', async () => {
  using launched = await launch();
  launched.launcher.kill('SIGKILL');
  await launched.exited;
  await assertAllEnd(launched.pids);
});
