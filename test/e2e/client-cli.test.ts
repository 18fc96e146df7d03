import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { startTicks } from '@spillway/cli/process-info';
import { REPO } from '@spillway/testing/find-binary';
import type { Mesh } from '@spillway/testing/mesh';
import { startSeededMesh } from '../support/mesh-fixture.ts';

let mesh: Mesh;
let home: string;
before(async () => {
  mesh = await startSeededMesh({
    serves: ['intent', 'simple', 'simulated'],
    tenants: [{ tenant: 'admin', class: 'standard', scopes: ['admin'] }],
  });
  home = await mkdtemp(join(tmpdir(), 'spillway-home-'));
  const state = {
    pid: process.pid,
    startTicks: startTicks(process.pid),
    endpoints: { http: mesh.url, nats: mesh.nats.url },
  };
  await writeFile(join(home, 'state.json'), JSON.stringify(state));
});
after(async () => {
  await mesh?.[Symbol.asyncDispose]();
  await rm(home, { recursive: true, force: true });
});

/** The command as the launcher runs it, for the mesh of this test. */
async function cli(...argv: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { NATS_URL: _, ...env } = process.env;
  const child = spawn(process.execPath, [join(REPO, 'packages/cli/src/main.ts'), ...argv], {
    env: { ...env, SPILLWAY_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

test('models lists versions, state, variants and tensors', async () => {
  const { code, out, err } = await cli('models');
  assert.equal(err, '');
  assert.equal(code, 0, out);
  assert.match(out, /^simple +1 \(stable\) +ready +- +INPUT0 INT32 \[-1, 16\]; INPUT1 INT32 \[-1, 16\] +OUTPUT0/m);
  assert.match(out, /^intent +1 +ready +.*lite.* +text BYTES/m);
  const one = await cli('models', 'simple');
  assert.match(one.out, /^simple: ready\n.*\n.*\n {2}platform +onnxruntime_onnx\n {2}input +INPUT0 INT32 \[-1, 16\]\n/);
  const listed = JSON.parse((await cli('models', '--json', '--url', mesh.url)).out) as {
    name: string;
    ready: boolean;
  }[];
  assert.ok(listed.some(({ name, ready }) => name === 'intent' && ready));
  const none = await cli('models', 'nothing');
  assert.deepEqual([none.code, none.err.split('\n')[0]], [1, 'spillway: there is no model "nothing"']);
});

test('models load says how a mesh follows commands when this one does not', async () => {
  const { code, err } = await cli('models', 'load', 'simple', '--key', mesh.keys['admin'] as string);
  assert.equal(code, 1);
  assert.match(err, /^spillway: simple: 501 load and unload are not served: .*\n.*--model-control-mode explicit/);
  assert.equal((await cli('models', 'reload', 'simple')).code, 2, 'usage');
});

test('infer still answers as before', async () => {
  const { code, out, err } = await cli('infer', 'intent', '--text', 'my card has not arrived yet');
  assert.equal(code, 0, err);
  assert.match(out, /^label {2}BYTES \[1, 1\] {2}\["card_arrival"\]\n/);
  assert.match(out, /\nscores {2}FP32 \[1, 77\] {2}\[.*, … 77 in all\]\n/);
});

test('a job is submitted, waited for, shown and listed', async () => {
  const submitted = await cli('jobs', 'submit', 'intent', '--text', 'my card has not arrived yet');
  assert.equal(submitted.code, 0, submitted.err);
  const id = submitted.out.trim();
  assert.match(id, /^[a-z2-7]{32}$/);
  const waited = await cli('jobs', 'wait', id, '--timeout', '180s');
  assert.equal(waited.code, 0, waited.err);
  assert.match(
    waited.out,
    new RegExp(`^${id} {2}succeeded {2}intent {2}\\d+ s old\nlabel {2}BYTES \\[1, 1\\] {2}\\["card_arrival"\\]\n`),
  );
  const shown = JSON.parse((await cli('jobs', 'show', id, '--json')).out);
  assert.deepEqual(shown.result.outputs.label.data, ['card_arrival']);
  assert.match((await cli('jobs', 'list')).out, new RegExp(`^${id} +succeeded +intent +`, 'm'));
  assert.equal((await cli('jobs', 'list', '--state', 'failed')).err, 'no jobs\n');
  const late = await cli('jobs', 'cancel', id);
  assert.deepEqual([late.code, late.out], [1, `${id} is succeeded: there is nothing left to cancel\n`]);
});

test('submit can wait, and one idempotency key is one job', async () => {
  const data = '{"INPUT0": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16], "INPUT1": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}';
  const argv = ['jobs', 'submit', 'simple', '--data', data, '--idempotency-key', 'sum', '--wait'];
  const first = await cli(...argv);
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /OUTPUT0 {2}INT32 \[1, 16\] {2}\[2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\]\n/);
  const again = await cli(...argv);
  assert.equal(again.out.split(' ')[0], first.out.split(' ')[0]);
});

test('the lines of a file become jobs; a line that cannot is named', async () => {
  const line = (n: number, of: object = {}) => {
    const input = (name: string) => ({ name, datatype: 'INT32', shape: [1, 16], data: Array(16).fill(n) });
    return JSON.stringify({ model: 'simple', inputs: [input('INPUT0'), input('INPUT1')], ...of });
  };
  const file = join(home, 'jobs.jsonl');
  const lines = Array.from({ length: 600 }, (_, n) => line(n));
  await writeFile(file, `${[...lines, '', line(7, { job: 'line-601' }), line(8, { model: 'nothing' })].join('\n')}\n`);
  const { code, out, err } = await cli('jobs', 'batch', file);
  const ids = out.trim().split('\n');
  assert.deepEqual([code, ids.length, new Set(ids).size, ids.includes('line-601')], [1, 601, 601, true]);
  assert.match(err, /^line 603: MODEL_NOT_FOUND: .*$/m);
  assert.match(err, /\n?601 accepted, 1 refused\n$/);
  const one = await cli('jobs', 'wait', 'line-601');
  assert.match(one.out, /OUTPUT0 {2}INT32 \[1, 16\] {2}\[14,14,/);
  const missing = await cli('jobs', 'batch', '/no/such/file');
  assert.match(missing.err, /^spillway: cannot read \/no\/such\/file: ENOENT/);
});

test('what cannot be done is said in one line, with the help that says more', async () => {
  const unknown = await cli('jobs', 'show', 'nobody-has-this');
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /^spillway: job: .*\n {2}NOT_FOUND/);
  for (const argv of [
    ['jobs', 'sing'],
    ['jobs', 'show'],
    ['jobs', 'list', '--wait'],
    ['jobs', 'submit', 'simple'],
  ]) {
    const { code, err } = await cli(...argv);
    assert.equal(code, 2, argv.join(' '));
    assert.match(err, /See: \.\/spillway jobs --help\n$/);
  }
  const away = await cli('models', '--url', 'http://127.0.0.1:1');
  assert.match(away.err, /^spillway: http:\/\/127\.0\.0\.1:1 does not answer: .*\n {2}Is a mesh running/);
});
