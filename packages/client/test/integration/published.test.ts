import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { REPO } from '@spillway/testing/find-binary';

const run = promisify(execFile);
const TSC = join(REPO, 'node_modules', 'typescript', 'bin', 'tsc');

let project: string;
let installed: string;

/** A stranger's project, far from this repository, in which the built package is installed and nothing else. */
before(async () => {
  project = await mkdtemp(join(tmpdir(), 'spillway-client-'));
  installed = join(project, 'node_modules', '@spillway', 'client');
  await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  await run(process.execPath, [join(REPO, 'packages', 'client', 'build-main.ts'), installed]);
});
after(() => rm(project, { recursive: true, force: true }));

async function evaluate(script: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: project });
  return JSON.parse(stdout);
}

test('it runs from JavaScript without any of its dependencies, as long as the URL needs none', async () => {
  const error = await evaluate(`
    import { SpillwayClient } from '@spillway/client';
    const client = new SpillwayClient({ url: 'http://127.0.0.1:1', retry: false });
    const ready = await client.ready();
    const error = await client.models().catch((error) => error);
    console.log(JSON.stringify([ready, error.name, error.code, error.reason]));
  `);
  assert.deepEqual(error, [false, 'SpillwayClientError', 'UNAVAILABLE', 'connection']);
});

test('a URL that needs a library which is not there says which', async () => {
  const messages = await evaluate(`
    import { SpillwayClient } from '@spillway/client';
    const urls = ['grpc://127.0.0.1:1', 'nats://127.0.0.1:1'];
    const input = { x: { data: new Float32Array(1), shape: [1] } };
    const call = (url) => new SpillwayClient({ url, retry: false }).infer('m', input).catch((error) => error.code + ' ' + error.message);
    console.log(JSON.stringify(await Promise.all(urls.map(call))));
  `);
  assert.match((messages as string[])[0] ?? '', /^UNSUPPORTED .*package @grpc\/grpc-js/);
  assert.match((messages as string[])[1] ?? '', /^UNSUPPORTED .*package nats/);
});

test('its types are complete: a strict TypeScript project reads them, and they refuse what is wrong', async () => {
  await writeFile(
    join(project, 'use.ts'),
    `import { type InferResult, type Job, SpillwayClient } from '@spillway/client';
     const client = new SpillwayClient({ url: 'http://127.0.0.1:8000' });
     const { outputs } = await client.infer<{ label: string[] }>('intent', { text: ['a'] });
     const label: string | undefined = outputs.label.data[0];
     const patient = new SpillwayClient({ url: 'http://127.0.0.1:8000', accept: ['wait', 'ticket'] });
     const answer: InferResult | Job = await patient.infer('intent', { text: ['a'] });
     // @ts-expect-error: without a ticket among what is accepted no job comes
     const job: Job = await client.infer('intent', { text: ['a'] });
     // @ts-expect-error: no such option
     await client.infer('intent', { text: ['a'] }, { timeout: 5 });
     for await (const { result, error } of client.stream<{ y: Float32Array }>('mlp', [{ x: [1] }])) {
       if (error === undefined) result.outputs.y.data.fill(0);
     }
     export { answer, job, label };`,
  );
  const options = ['--strict', '--noEmit', '--target', 'es2023', '--lib', 'esnext,dom', '--types', ''];
  const modules = ['--module', 'nodenext'];
  const said = await run(process.execPath, [TSC, ...options, ...modules, join(project, 'use.ts')], {
    cwd: project,
  }).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  );
  // What its dependencies would bring is not there; a project that uses them installs them.
  assert.deepEqual(
    said.split('\n').filter((line) => line !== '' && !/TS2307.*'(@grpc\/grpc-js|nats)'/.test(line)),
    [],
  );
});

test('it depends on nothing of this repository', async () => {
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>;
  assert.equal(manifest['private'], undefined);
  assert.deepEqual(Object.keys(manifest['dependencies'] as object), ['@grpc/grpc-js', '@grpc/proto-loader', 'nats']);
});
