import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { yieldBackgroundThreads } from '../src/background-threads.ts';

const isLinux = process.platform === 'linux';

test('threads of the engine give way to the one that answers', { skip: !isLinux && 'only Linux has it' }, () => {
  yieldBackgroundThreads();
  yieldBackgroundThreads();
  const threads = readdirSync('/proc/self/task').map((thread) => ({
    name: readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim(),
    nice: getPriority(Number(thread)),
  }));
  const workers = threads.filter(({ name }) => name === 'V8Worker');
  assert.ok(workers.length > 0, `expected V8Worker among ${threads.map(({ name }) => name)}`);
  assert.ok(workers.every(({ nice }) => nice === 10));
  assert.equal(getPriority(process.pid), 0, 'the main thread keeps its own');
});
