import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { test } from 'node:test';

/** Signals are for a whole process, so the test has one of its own; it prints what it got and stays for a minute. */
const PROGRAM = `
  import { untilSignal } from ${JSON.stringify(new URL('../src/signals.ts', import.meta.url).href)};
  setTimeout(() => {}, 60_000);
  const signal = untilSignal('SIGTERM', 'SIGINT');
  process.stdout.write('listening\\n');
  process.stdout.write(await signal + '\\n');
`;

const start = () =>
  spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });

const line = async (child: ChildProcessByStdio<null, Readable, null>): Promise<string> => {
  const [chunk] = await once(child.stdout, 'data');
  return String(chunk).trim();
};

test('the first signal resolves with its name and ends nothing, a second one of any name exits at once with 130', async () => {
  const child = start();
  const exited = once(child, 'exit');
  assert.equal(await line(child), 'listening');
  child.kill('SIGTERM');
  assert.equal(await line(child), 'SIGTERM');
  assert.equal(child.exitCode, null);
  child.kill('SIGINT');
  assert.deepEqual(await exited, [130, null]);
});
