import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

const module = new URL('../src/run-service.ts', import.meta.url).href;

/** A process of its own with this configuration and service. */
function run(load: string, start: string) {
  const code = `import { runService } from ${JSON.stringify(module)}; await runService(${load}, ${start});`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'pipe'] });
  return { child, exited: once(child, 'exit') as Promise<[number | null]>, errors: text(child.stderr) };
}

test('a service runs until a signal, drains for as long as it is configured to, closes and ends with 0', async () => {
  const { child, exited } = run(
    '() => ({ drainTimeoutMs: 4321 })',
    `async () => {
      const stay = setInterval(() => {}, 60_000);
      setImmediate(() => console.log('started'));
      return {
        drain: async (timeoutMs) => console.log('drain', timeoutMs),
        [Symbol.asyncDispose]: async () => { clearInterval(stay); console.log('closed'); },
      };
    }`,
  );
  const lines: string[] = [];
  for await (const chunk of child.stdout) {
    lines.push(...String(chunk).trim().split('\n'));
    if (lines.length === 1) child.kill('SIGTERM');
  }
  assert.deepEqual(lines, ['started', 'drain 4321', 'closed']);
  assert.deepEqual((await exited)[0], 0);
});

test('a fault of the configuration is printed alone, with its exit code; a bug has its stack', async () => {
  const load = (members: string) =>
    run(`() => { throw Object.assign(new Error('PORT: expected a number'), ${members}); }`, 'async () => {}');
  const [fault, bug] = [load('{ exitCode: 78 }'), load('{}')];
  assert.deepEqual([(await fault.exited)[0], await fault.errors], [78, 'PORT: expected a number\n']);
  assert.equal((await bug.exited)[0], 1);
  assert.match(await bug.errors, /at .*\n/);
});
