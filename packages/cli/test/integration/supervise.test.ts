import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@spillway/testing/free-port';
import { CliError } from '../../src/context.ts';
import { startTicks } from '../../src/process-info.ts';
import { Supervisor } from '../../src/supervise.ts';
import { fixtureSpec } from '../fixtures/specs.ts';

const forever = new AbortController().signal;

type Child = { env?: Record<string, string>; drainStage?: number };

async function supervised(children: Record<string, Child>) {
  const dataDir = mkdtempSync(join(tmpdir(), 'spillway-supervise-'));
  const specs = await Promise.all(
    Object.entries(children).map(async ([name, { env, drainStage }]) =>
      fixtureSpec(dataDir, name, await freePort(), env, drainStage),
    ),
  );
  const said: string[] = [];
  const supervisor = new Supervisor(dataDir, specs, { say: (line) => said.push(line), changed: () => {} });
  supervisor.start();
  const child = (name: string) => {
    const found = supervisor.services().find(({ instance }) => instance === name);
    assert.ok(found);
    return found;
  };
  return {
    ...{ supervisor, said, child },
    log: (name: string) => readFileSync(join(dataDir, 'logs', `${name}.log`), 'utf8'),
    [Symbol.dispose]: () => {
      supervisor.kill();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const until = async (condition: () => boolean, what: string) => {
  const endMs = performance.now() + 30_000;
  while (!condition()) {
    assert.ok(performance.now() < endMs, `not within 30 s: ${what}`);
    await delay(10);
  }
};

// One that has ended but was not collected yet (a container without an init) does not count.
const isAlive = (pid: number): boolean => startTicks(pid) !== undefined;

test('a mesh is ready when its slowest child is ready', async () => {
  using mesh = await supervised({ quick: {}, slow: { env: { READY_AFTER_MS: '400' } } });
  await mesh.supervisor.untilReady(forever);
  assert.deepEqual(
    mesh.supervisor.services().map(({ state }) => state),
    ['ready', 'ready'],
  );
});

test('a killed child is started again after 100 ms and counted', async () => {
  using mesh = await supervised({ child: {} });
  await mesh.supervisor.untilReady(forever);
  const { pid } = mesh.child('child');
  process.kill(pid ?? 0, 'SIGKILL');
  await until(() => mesh.child('child').restarts === 1 && mesh.child('child').state === 'ready', 'ready again');
  assert.notEqual(mesh.child('child').pid, pid);
  assert.ok(mesh.said.includes('child ended (SIGKILL); starting it again in 100 ms'), mesh.said.join('\n'));
});

test('what a crashed child had started itself is ended before it is started again', async () => {
  using mesh = await supervised({ child: { env: { GRANDCHILD: '1' } } });
  await mesh.supervisor.untilReady(forever);
  const grandchild = Number(/grandchild (\d+)/.exec(mesh.log('child'))?.[1]);
  assert.ok(isAlive(grandchild));
  process.kill(mesh.child('child').pid ?? 0, 'SIGKILL');
  await until(() => !isAlive(grandchild), 'the grandchild has ended');
});

test('children are drained stage by stage', async () => {
  using mesh = await supervised({ last: { drainStage: 2 }, first: { drainStage: 0 }, middle: { drainStage: 1 } });
  await mesh.supervisor.untilReady(forever);
  await mesh.supervisor.drain();
  const at = ['first', 'middle', 'last'].map((name) => Number(/drained at (\d+)/.exec(mesh.log(name))?.[1]));
  assert.deepEqual(
    at,
    [...at].sort((a, b) => a - b),
  );
  assert.ok(mesh.supervisor.services().every(({ state, pid }) => state === 'stopped' && pid === null));
});

test('a child that does not obey is killed when its grace is over', async () => {
  using mesh = await supervised({ deaf: { env: { DEAF: '1' } } });
  await mesh.supervisor.untilReady(forever);
  const { pid } = mesh.child('deaf');
  await mesh.supervisor.drain(200);
  assert.ok(!isAlive(pid ?? 0));
  assert.ok(mesh.said.includes('deaf did not end within 0.2 s and was killed'), mesh.said.join('\n'));
});

test('a child that refuses its configuration ends the start, with the end of its log', async () => {
  using mesh = await supervised({ misconfigured: { env: { EXIT_WITH: '78' } } });
  await assert.rejects(mesh.supervisor.untilReady(forever), (error) => {
    assert.ok(error instanceof CliError);
    assert.match(error.message, /misconfigured refuses its configuration/);
    assert.match(error.message, /a line before the end/);
    return true;
  });
});

test('a child that crashes again and again ends the start', async () => {
  using mesh = await supervised({ crashing: { env: { EXIT_WITH: '1' } } });
  await assert.rejects(mesh.supervisor.untilReady(forever), /crashing ended 5 times \(exit code 1\)/);
});

test('a start that takes too long says what the child waits for', async () => {
  using mesh = await supervised({ waiting: { env: { READY_AFTER_MS: '600000' } } });
  const waitFor = (ms: number) => mesh.supervisor.untilReady(forever, ms).then(() => 'ready', String);
  let said = await waitFor(300);
  // Before it listens it cannot say what it waits for.
  for (let tries = 0; tries < 100 && said.includes('it does not answer'); tries += 1) said = await waitFor(300);
  assert.match(said, /waiting is not ready after 0\.3 s: it waits for its time/);
});
