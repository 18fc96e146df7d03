import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { REPO } from '@spillway/testing/find-binary';
import { importsOf, sources } from '../repo/workspaces.ts';

/** The file that an import names, relative to the root; undefined: none of this repository. */
function fileOf(importer: string, from: string): string | undefined {
  if (from.startsWith('.')) return posix.join(posix.dirname(importer), from);
  if (!from.startsWith('@spillway/')) return undefined;
  return relative(REPO, realpathSync(fileURLToPath(import.meta.resolve(from))));
}

/** All files that are loaded with these, types left out. */
function loadedWith(entries: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const walk = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { from, typeOnly } of importsOf(file)) {
      const target = typeOnly ? undefined : fileOf(file, from);
      if (target?.endsWith('.ts')) walk(target);
    }
  };
  for (const entry of entries) walk(entry);
  return seen;
}

const isPolicy = (file: string): boolean => /^services\/[^/]+\/src\/core\//.test(file);
const simulator = [...loadedWith(sources('test/sim').filter((file) => !file.endsWith('.test.ts')))].filter(isPolicy);

test('the simulator decides with policy files of gateway and batcher', () => {
  for (const file of [
    'services/gateway/src/core/admission/admission.ts',
    'services/gateway/src/core/turn-buffer.ts',
    'services/batcher/src/core/dispatcher.ts',
    'services/batcher/src/core/batch-queue.ts',
    'services/batcher/src/core/pull-plan.ts',
  ]) {
    assert.ok(simulator.includes(file), `${file} is not among ${simulator.join(', ')}`);
  }
});

test('each of them is the very file that the service itself loads', () => {
  const loaded = new Set(['gateway', 'batcher'].flatMap((name) => [...loadedWith([`services/${name}/src/main.ts`])]));
  assert.deepEqual(
    simulator.filter((file) => !loaded.has(file)),
    [],
  );
});

test('the link of a package leads to the folder of its service', () => {
  const path = realpathSync(fileURLToPath(import.meta.resolve('@spillway/batcher/core/dispatcher')));
  assert.equal(path, join(REPO, 'services/batcher/src/core/dispatcher.ts'));
});
