import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { SpillwayClient, SpillwayClientError } from '@spillway/client';
import { testAuthority } from '@spillway/testing/certificates';
import { type Mesh, startMesh } from '@spillway/testing/mesh';

const authority = testAuthority();
const clients = testAuthority('authority of clients');
const own = clients.issue('client');
const tls = { ca: authority.cert, ...own };
const X = { x: new Float32Array(64) };

let mesh: Mesh;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spillway-tls-'));
  const gateway = authority.issue('gateway');
  const files = { 'tls.crt': gateway.cert, 'tls.key': gateway.key, 'clients.crt': clients.cert };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  mesh = await startMesh({
    serviceEnv: {
      gateway: {
        GATEWAY_ADMISSION_OFF: 'guard',
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
