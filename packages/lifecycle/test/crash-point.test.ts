import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { CRASH_POINTS, readCrashPoints } from '../src/crash-point.ts';

const PROGRAM = `
  import { armCrashPoints, crashPoint } from ${JSON.stringify(new URL('../src/crash-point.ts', import.meta.url).href)};
  import { writeSync } from 'node:fs';
  armCrashPoints(process.env.SPILLWAY_CRASH_AT);
  for (let n = 1; n <= 3; n += 1) {
    crashPoint('batcher.after-pull');
    writeSync(1, String(n));
  }
`;

async function run(env: Record<string, string>): Promise<{ out: string; signal: string | null }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], { env: { ...process.env, ...env } });
  const exited = once(child, 'exit');
  const out = await text(child.stdout);
  return { out, signal: ((await exited) as [number | null, string | null])[1] };
}

test('a process dies when it comes to the named place for the counted time, and at no other', async () => {
  const [third, other, none] = await Promise.all([
    run({ SPILLWAY_CRASH_AT: 'gateway.after-store,batcher.after-pull:3' }),
    run({ SPILLWAY_CRASH_AT: 'gateway.before-202' }),
    run({}),
  ]);
  assert.deepEqual(third, { out: '12', signal: 'SIGKILL' });
  assert.deepEqual(other, { out: '123', signal: null });
  assert.deepEqual(none, other);
});

test('what names no place is an error that lists them', () => {
  assert.equal(readCrashPoints(''), undefined);
  for (const text of ['gateway', 'batcher.after-pull:0', 'batcher.after-pull:x', 'gateway.after-store,']) {
    assert.throws(() => readCrashPoints(text), /SPILLWAY_CRASH_AT: .*worker\.after-result-before-ack/, text);
  }
  assert.equal(new Set(Object.values(CRASH_POINTS).flat()).size, 5);
});
