import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const module = new URL('../src/signals.ts', import.meta.url).href;

async function exitOf(script: string): Promise<number | null> {
  const code = `import { exitWithin } from ${JSON.stringify(module)}; ${script}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'ignore' });
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  return exitCode;
}

test('a process that a forgotten timer keeps alive ends all the same, with its exit code', async () => {
  assert.equal(await exitOf('setInterval(() => {}, 60_000); process.exitCode = 78; exitWithin(20);'), 78);
});

test('a process with nothing left to do does not wait for the limit', async () => {
  assert.equal(await exitOf('exitWithin(600_000);'), 0);
});
