import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTicks } from '../../src/process-info.ts';
import { type MeshState, readState, StateFile } from '../../src/state-file.ts';

const stateOf = (pid: number): MeshState => ({
  pid,
  phase: 'starting',
  startedAt: '2026-01-01T00:00:00.000Z',
  version: '0.1.0',
  models: '/models',
  ports: { base: 8000, otlp: 8012 },
  endpoints: { http: '', grpc: '', metrics: '', nats: '', redis: '', otlp: '' },
  services: [],
});

function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'spillway-state-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test('what was written is read, until it is released', () => {
  using folder = temporaryFolder();
  const file = StateFile.claim(folder.path, stateOf(process.pid));
  assert.ok(file instanceof StateFile);
  file.write({ ...stateOf(process.pid), phase: 'ready' });
  assert.equal(readState(folder.path)?.phase, 'ready');
  file.release();
  assert.equal(readState(folder.path), undefined);
  assert.ok(!existsSync(join(folder.path, 'state.json')));
});

test('a second claim gets the state of the mesh that runs', () => {
  using folder = temporaryFolder();
  StateFile.claim(folder.path, stateOf(process.pid));
  const second = StateFile.claim(folder.path, stateOf(process.pid));
  assert.ok(!(second instanceof StateFile));
  assert.equal(second.pid, process.pid);
});

test('a file left by a dead launcher is no running mesh, also when its number was given to another process', () => {
  using folder = temporaryFolder();
  const ticks = startTicks(process.pid) ?? 0;
  const left = { ...stateOf(process.pid), startTicks: ticks - 1 };
  writeFileSync(join(folder.path, 'state.json'), JSON.stringify(left));
  assert.equal(readState(folder.path), undefined);
  assert.ok(StateFile.claim(folder.path, stateOf(process.pid)) instanceof StateFile);
});

test('half a file counts as none', () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, 'state.json'), '{"pid": 1');
  assert.equal(readState(folder.path), undefined);
});
