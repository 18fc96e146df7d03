import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { run as infer } from '@spillway/cli/commands/infer';
import { run as jobs } from '@spillway/cli/commands/jobs';
import { run as load } from '@spillway/cli/commands/load';
import { run as models } from '@spillway/cli/commands/models';
import { CliError, type Context } from '@spillway/cli/context';
import { SpillwayClient, SpillwayClientError } from '@spillway/client';
import type { LoadReport } from '@spillway/load/report';
import { testAuthority } from '@spillway/testing/certificates';
import { REPO } from '@spillway/testing/find-binary';
import { type Mesh, startMesh } from '@spillway/testing/mesh';
import { ALL_ADMITTED } from '../support/mesh-fixture.ts';
import { patient, repositoryOf } from '../support/model-repository.ts';

const authority = testAuthority();
const clients = testAuthority('authority of clients');
const own = clients.issue('client');
const tls = { ca: authority.cert, ...own };
const X = { x: new Float32Array(64) };

let mesh: Mesh;
let folder: string;
let repository: Awaited<ReturnType<typeof repositoryOf>>;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spillway-tls-'));
  const gateway = authority.issue('gateway');
  const files = {
    ...{ 'tls.crt': gateway.cert, 'tls.key': gateway.key, 'clients.crt': clients.cert },
    ...{ 'ca.crt': authority.cert, 'own.crt': own.cert, 'own.key': own.key },
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  repository = await repositoryOf(['mlp'], patient);
  mesh = await startMesh({
    models: repository.dir,
    serviceEnv: {
      gateway: {
        ...ALL_ADMITTED,
        GATEWAY_TLS_CERT: join(folder, 'tls.crt'),
        GATEWAY_TLS_KEY: join(folder, 'tls.key'),
        GATEWAY_TLS_CLIENT_CA: join(folder, 'clients.crt'),
      },
    },
  });
  await using client = new SpillwayClient({ url: urls().https, tls });
  while (!(await client.models()).some(({ name, ready }) => name === 'mlp' && ready)) await delay(25);
});
after(async () => {
  await mesh?.[Symbol.asyncDispose]();
  await repository?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const urls = () => ({ https: mesh.url.replace('http:', 'https:'), grpcs: `grpcs://${mesh.grpc}` });

for (const door of ['https', 'grpcs'] as const) {
  test(`over ${door} it trusts the authority that it is given, and shows its own certificate`, async () => {
    await using client = new SpillwayClient({ url: urls()[door], tls, key: mesh.keys.standard });
    const { outputs } = await client.infer('mlp', X);
    assert.equal(outputs['y']?.data.length, 1);
    for await (const { error } of client.stream('mlp', [X])) assert.equal(error, undefined);
  });

  test(`over ${door} it does not talk to whom it cannot trust, nor without a certificate that is asked for`, async () => {
    for (const wrong of [{ ca: clients.cert, ...own }, { ca: authority.cert }, undefined]) {
      await using client = new SpillwayClient({ url: urls()[door], tls: wrong, retry: false });
      await assert.rejects(client.infer('mlp', X, { timeoutMs: 5_000 }), SpillwayClientError);
      assert.equal(await client.ready({ timeoutMs: 5_000 }), false);
    }
  });
}

const contextOf = (printed: string[]): Context => ({
  env: {},
  cwd: folder,
  root: REPO,
  toolsDir: folder,
  dataDir: folder,
  node: process.execPath,
  version: '0',
  print: (line) => void printed.push(line),
  say: () => undefined,
});
const CERTIFICATES = ['--ca', 'ca.crt', '--cert', 'own.crt', '--cert-key', 'own.key'];
const ROW = JSON.stringify(new Array(64).fill(0));

test('infer, models and jobs trust the authority that they are given, and show a certificate', async () => {
  const printed: string[] = [];
  const context = contextOf(printed);
  const door = ['--url', urls().https, '--key', mesh.keys.standard, ...CERTIFICATES];
  assert.equal(await infer(context, ['mlp', '--data', ROW, ...door]), 0);
  assert.equal(await models(context, ['mlp', ...door]), 0);
  assert.equal(await jobs(context, ['submit', 'mlp', '--data', ROW, '--wait', ...door]), 0);
  assert.match(printed.join('\n'), /^y {2}FP32.*\nmlp: ready\n[\s\S]* succeeded {2}mlp /);
  const stranger = ['--url', urls().https, '--ca', 'clients.crt'];
  for (const run of [() => infer(context, ['mlp', '--data', ROW, ...stranger]), () => models(context, stranger)]) {
    await assert.rejects(run, (error) => {
      assert.ok(error instanceof CliError);
      assert.match(error.message, /^https:.* does not answer: /);
      return error.advice.some((line) => line.includes('--ca FILE'));
    });
  }
});

test('the load generator speaks TLS at both doors', async () => {
  const protocols = ['http', 'grpc', 'grpc-stream'];
  const kinds = protocols.map((protocol) => ({
    ...{ name: protocol, protocol, key: mesh.keys.standard },
    deadline_ms: 60_000, // this test is not about time
  }));
  await writeFile(join(folder, 'mix.json'), JSON.stringify({ kinds }));
  const { https, grpcs } = urls();
  const where = ['--url', https, '--grpc', grpcs, ...CERTIFICATES];
  await load(contextOf([]), [
    'mlp',
    '--rate',
    '60',
    '--for',
    '1s',
    '--mix-file',
    'mix.json',
    '--json',
    'r.json',
    ...where,
  ]);
  const { phases } = JSON.parse(await readFile(join(folder, 'r.json'), 'utf8')) as LoadReport;
  const { groups = {} } = phases[0] ?? {};
  assert.deepEqual(Object.keys(groups).sort(), [...protocols].sort());
  for (const group of Object.values(groups)) {
    assert.ok(group.offered > 0);
    assert.equal(group.good, group.offered, JSON.stringify(group.failedBy));
  }
});
