import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { get as getTls, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { type TestCertificate, testAuthority } from '@spillway/testing/certificates';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { watchTlsFiles } from '../../src/adapters/tls-files.ts';
import type { Gateway } from '../../src/service.ts';
import { startGatewayAt } from './gateway-under-test.ts';
import { InferenceClient } from './grpc-client.ts';
import { failureOf } from './grpc-mesh.ts';

const authority = testAuthority();
const clients = testAuthority('authority of clients');
const cleanUp = new AsyncDisposableStack();
let nats: TestServer;
let folder: string;
let gateway: Gateway;
const file = (name: string) => join(folder, name);

/** At once, as whoever renews certificates does: a gateway may be reading. */
async function place(name: string, text: string): Promise<void> {
  await writeFile(file(`${name}.new`), text);
  await rename(file(`${name}.new`), file(name));
}

async function show({ cert, key }: TestCertificate): Promise<void> {
  await place('tls.key', key);
  await place('tls.crt', cert);
}

const doors = (env: Record<string, string> = {}) =>
  startGatewayAt(nats.url, {
    GATEWAY_TLS_CERT: file('tls.crt'),
    GATEWAY_TLS_KEY: file('tls.key'),
    GATEWAY_TLS_RELOAD_MS: '50',
    ...env,
  });

before(async () => {
  nats = cleanUp.use(await startNatsServer());
  folder = await mkdtemp(join(tmpdir(), 'spillway-tls-'));
  cleanUp.defer(() => rm(folder, { recursive: true, force: true }));
  await show(authority.issue('gateway'));
  await writeFile(file('clients.crt'), clients.cert);
  gateway = cleanUp.use(await doors());
});
after(() => cleanUp.disposeAsync());

/** Status of the HTTP door's metadata. */
const statusOf = (port: number, options: RequestOptions): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const asking = getTls({ host: '127.0.0.1', port, path: '/v2', agent: false, ...options }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    asking.on('error', reject);
  });

const clientOf = (port: number, ...ssl: Parameters<typeof grpc.credentials.createSsl>) =>
  new InferenceClient(port, {}, grpc.credentials.createSsl(...ssl));
const isLive = (client: InferenceClient) => client.call('ServerLive', {}, { timeoutMs: 30_000 });

/** A client that would take TLS 1.1, which OpenSSL 3 does at its lowest level only. */
const OLD = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;

/** The certificate that a door shows. Rejects when there is no handshake. */
function shown(
  port: number,
  options: Partial<ConnectionOptions> = {},
): Promise<[subject: string, version: string | null]> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(
      { host: '127.0.0.1', port, ca: authority.cert, ALPNProtocols: ['h2', 'http/1.1'], ...options },
      () => {
        resolve([String(socket.getPeerCertificate().subject.CN), socket.getProtocol()]);
        socket.destroy();
      },
    );
    socket.on('error', reject);
  });
}

test('both doors speak TLS with the certificate, and nothing else', async () => {
  assert.equal(await statusOf(gateway.ports.http, { ca: authority.cert }), 200);
  using client = clientOf(gateway.ports.grpc, Buffer.from(authority.cert));
  assert.deepEqual(await isLive(client), { live: true });
  await assert.rejects(statusOf(gateway.ports.http, { ca: clients.cert }), /unable to verify|signature/);
  const plain = new Promise((resolve, reject) =>
    get(`http://127.0.0.1:${gateway.ports.http}/v2`, resolve).on('error', reject),
  );
  await assert.rejects(plain);
  using plainClient = new InferenceClient(gateway.ports.grpc);
  assert.equal((await failureOf(isLive(plainClient))).code, grpc.status.UNAVAILABLE);
});

test('TLS 1.2 is taken at both doors, and nothing older', async () => {
  for (const port of [gateway.ports.http, gateway.ports.grpc]) {
    assert.deepEqual(await shown(port, { maxVersion: 'TLSv1.2' }), ['gateway', 'TLSv1.2']);
    await assert.rejects(shown(port, OLD), /alert protocol version/);
  }
});

test('a certificate that changes is shown by both doors without a restart', async () => {
  const { http, grpc } = gateway.ports;
  const open = clientOf(grpc, Buffer.from(authority.cert));
  await isLive(open);
  await show(authority.issue('gateway-2'));
  for (const port of [http, grpc])
    await until('the new one is shown', async () => (await shown(port))[0] === 'gateway-2');
  assert.deepEqual(await isLive(open), { live: true }, 'connections that were open stay');
  assert.deepEqual(await shown(http, { maxVersion: 'TLSv1.2' }), ['gateway-2', 'TLSv1.2']);
  for (const port of [http, grpc]) await assert.rejects(shown(port, OLD), /alert protocol version/);
  open[Symbol.dispose]();
});

test('a certificate without its key, as in the middle of a change, is told once and not shown', async () => {
  const first = authority.issue('first');
  const second = authority.issue('second');
  const files = { cert: file('own.crt'), key: file('own.key'), clientCa: '' };
  await place('own.crt', first.cert);
  await place('own.key', first.key);
  const faults: unknown[] = [];
  const changed = Promise.withResolvers<unknown>();
  using watched = watchTlsFiles({
    files,
    reloadMs: 50,
    onReload: () => undefined,
    onFault: (error) => faults.push(error),
  }) as NonNullable<ReturnType<typeof watchTlsFiles>>;
  watched.onChange(({ cert }) => changed.resolve(cert));
  await place('own.crt', second.cert);
  await until('the fault is told', () => faults.length > 0);
  assert.match(String(faults[0]), /GATEWAY_TLS_KEY: expected the private key of GATEWAY_TLS_CERT/);
  assert.equal(watched.context().cert, first.cert);
  await place('own.key', second.key);
  assert.equal(await changed.promise, second.cert);
  assert.equal(faults.length, 1);
});

test('with an authority of clients both doors take no connection without one of its certificates', async () => {
  await using own = await doors({ GATEWAY_TLS_CLIENT_CA: file('clients.crt') });
  const { http, grpc } = own.ports;
  const known = clients.issue('caller');
  const stranger = authority.issue('caller');
  assert.equal(await statusOf(http, { ca: authority.cert, ...known }), 200);
  using client = clientOf(grpc, Buffer.from(authority.cert), Buffer.from(known.key), Buffer.from(known.cert));
  assert.deepEqual(await isLive(client), { live: true });
  await assert.rejects(statusOf(http, { ca: authority.cert }));
  await assert.rejects(statusOf(http, { ca: authority.cert, ...stranger }));
  for (const pair of [[], [Buffer.from(stranger.key), Buffer.from(stranger.cert)]]) {
    using refused = clientOf(grpc, Buffer.from(authority.cert), ...pair);
    assert.equal((await failureOf(isLive(refused))).code, 14);
  }
});

test('files that cannot be read or do not fit end the start, naming the variable', async () => {
  await writeFile(file('other.key'), clients.issue('other').key);
  await writeFile(file('garbage'), 'garbage');
  const faults: [env: Record<string, string>, message: RegExp][] = [
    [{ GATEWAY_TLS_CERT: file('none') }, /GATEWAY_TLS_CERT: expected a readable file/],
    [{ GATEWAY_TLS_CERT: file('garbage') }, /GATEWAY_TLS_CERT: expected certificates in PEM/],
    [{ GATEWAY_TLS_KEY: file('other.key') }, /GATEWAY_TLS_KEY: expected the private key of GATEWAY_TLS_CERT/],
    [{ GATEWAY_TLS_CLIENT_CA: file('garbage') }, /GATEWAY_TLS_CLIENT_CA: expected certificates of authorities/],
  ];
  for (const [env, message] of faults) await assert.rejects(doors(env), { name: 'ConfigError', message });
});
