import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { testAuthority } from '@spillway/testing/certificates';
import { measureCapacity } from '../../src/capacity.ts';
import { HttpPool, type HttpReply } from '../../src/http-pool.ts';
import type { Kind } from '../../src/kind.ts';
import { mixOfTexts } from '../../src/mix-text.ts';
import { parseProfile } from '../../src/profile-text.ts';
import { runLoad } from '../../src/run-load.ts';

async function serve(listener: RequestListener, server: Server = createServer()) {
  server.on('request', listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const request = (path: string): string => `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}`;
const ask = (pool: HttpPool, path: string): Promise<HttpReply> =>
  new Promise((resolve) => pool.send(request(path), 'latin1', resolve));

test('connections are used again, one request at a time on each', async () => {
  const sockets = new Set<unknown>();
  await using server = await serve((req, res) => {
    sockets.add(req.socket);
    res.end(req.url);
  });
  const pool = new HttpPool({ host: '127.0.0.1', port: server.port, maxConnections: 8 });
  for (let n = 0; n < 5; n += 1) assert.equal(((await ask(pool, `/${n}`)) as { body: string }).body, `/${n}`);
  assert.equal(sockets.size, 1);
  await Promise.all(Array.from({ length: 3 }, (_, n) => ask(pool, `/${n}`)));
  assert.equal(sockets.size, 3);
  assert.equal(pool.mostConnections, 3);
  pool.close();
});

test('beyond the most connections requests wait, and are counted', async () => {
  await using server = await serve((req, res) => res.end(req.url));
  const pool = new HttpPool({ host: '127.0.0.1', port: server.port, maxConnections: 2 });
  const replies = await Promise.all(Array.from({ length: 20 }, (_, n) => ask(pool, `/${n}`)));
  assert.deepEqual(
    replies.map((reply) => (reply as { body: string }).body),
    Array.from({ length: 20 }, (_, n) => `/${n}`),
  );
  assert.deepEqual([pool.mostConnections, pool.waited], [2, 18]);
  pool.close();
});

test('a server that closes after each answer costs new connections and no request', async () => {
  await using server = await serve((req, res) => res.setHeader('connection', 'close').end(req.url));
  const pool = new HttpPool({ host: '127.0.0.1', port: server.port, maxConnections: 1 });
  const replies = await Promise.all([ask(pool, '/a'), ask(pool, '/b'), ask(pool, '/c')]);
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200],
  );
  pool.close();
});

test('a request that is given up closes its connection, and the server sees it', async () => {
  const left = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  await using server = await serve((_req, res) => {
    res.on('close', () => left.resolve());
    arrived.resolve();
  });
  const pool = new HttpPool({ host: '127.0.0.1', port: server.port, maxConnections: 1 });
  let replies = 0;
  const giveUp = pool.send(request('/'), 'latin1', () => {
    replies += 1;
  });
  await arrived.promise;
  giveUp();
  await left.promise;
  assert.equal(replies, 0);
  pool.close();
});

test('a connection that breaks, a port without a server and a server of another protocol are failures with a reason', async () => {
  const rude = createTcpServer((socket) => socket.once('data', () => socket.destroy())).listen(0, '127.0.0.1');
  const other = createTcpServer((socket) => socket.once('data', () => socket.end('220 mail\r\n\r\n'))).listen(
    0,
    '127.0.0.1',
  );
  await Promise.all([once(rude, 'listening'), once(other, 'listening')]);
  const reasonAt = async (port: number): Promise<string> => {
    const pool = new HttpPool({ host: '127.0.0.1', port, maxConnections: 1 });
    const reply = await ask(pool, '/');
    pool.close();
    return (reply as { reason: string }).reason;
  };
  const [rudePort, otherPort] = [rude, other].map((server) => (server.address() as AddressInfo).port) as [
    number,
    number,
  ];
  assert.match(await reasonAt(rudePort), /connection lost|ECONNRESET/);
  assert.equal(await reasonAt(otherPort), 'malformed response');
  rude.close();
  other.close();
  await Promise.all([once(rude, 'close'), once(other, 'close')]);
  assert.equal(await reasonAt(rudePort), 'ECONNREFUSED');
});

test('any server of the protocol can be loaded: what it answers, refuses and garbles is told apart', async () => {
  let n = 0;
  await using server = await serve((req, res) => {
    if (req.method === 'GET') {
      res.end(JSON.stringify({ name: 'simulated', inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }] }));
      return;
    }
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { inputs } = JSON.parse(Buffer.concat(chunks).toString()) as { inputs: { data: number[] }[] };
      const [x = 0] = inputs[0]?.data ?? [];
      n += 1;
      if (n % 4 === 0) res.writeHead(503, { 'Retry-After': '1' }).end('{"error":"busy"}');
      else if (n % 4 === 1) res.writeHead(500).end('{"error":"bug"}');
      else res.end(JSON.stringify({ outputs: [{ name: 'y', data: [n % 4 === 2 ? x : x + 1] }] }));
    });
  });
  const report = await runLoad({
    kinds: mixOfTexts({ deadlineMs: '60000' }, { model: 'simulated', protocol: 'http', tenant: 'test' }),
    plan: { profile: parseProfile('200 400ms'), process: 'constant' },
    targets: { http: server.url },
    plain: true,
    warmUpMs: 0,
  });
  const [{ all }] = report.phases as [LoadPhase];
  assert.deepEqual([all.offered, all.good, all.wrong, all.refused, all.failed], [80, 20, 20, 20, 20]);
  assert.deepEqual([all.refusedBy, all.failedBy], [{ 503: 20 }, { 500: 20, wrong: 20 }]);
  assert.deepEqual([all.hints.given, all.hints.hint.max], [20, 1_000]);
});

test('over TLS the authority and the own certificate are those that were given, and who is not trusted is told by the reason', async () => {
  const authority = testAuthority();
  const clients = testAuthority('authority of clients');
  const tls = { ca: authority.cert, ...clients.issue('client') };
  const options = { ...authority.issue('server'), ca: clients.cert, requestCert: true };
  await using server = await serve((req, res) => {
    if (req.method === 'GET') res.end(JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }] }));
    else req.resume().on('end', () => res.end('{"outputs":[]}'));
  }, createTlsServer(options));
  const report = await runLoad({
    kinds: mixOfTexts({ deadlineMs: '60000' }, { model: 'any', protocol: 'http', tenant: 'test' }),
    plan: { profile: parseProfile('100 300ms'), process: 'constant' },
    targets: { http: server.url.replace('http:', 'https:'), tls },
    warmUpMs: 0,
  });
  const [{ all }] = report.phases as [LoadPhase];
  assert.deepEqual([all.offered, all.good], [30, 30]);
  const reasonWith = async (texts: typeof tls | { ca: string }): Promise<string> => {
    const pool = new HttpPool({
      host: '127.0.0.1',
      port: server.port,
      maxConnections: 1,
      tls: createSecureContext(texts),
    });
    const reply = await ask(pool, '/');
    pool.close();
    return (reply as { reason: string }).reason;
  };
  assert.match(await reasonWith({ ...tls, ca: clients.cert }), /^(UNABLE_TO_VERIFY|UNABLE_TO_GET|SELF_SIGNED)/);
  assert.match(await reasonWith({ ca: authority.cert }), /CERTIFICATE_REQUIRED|ECONNRESET|EPIPE|connection lost/);
});

test('capacity is what a closed loop is answered; a server that answers nothing has none', async () => {
  let isBusy = false;
  await using server = await serve((req, res) => {
    if (req.method === 'GET') res.end(JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }] }));
    else res.writeHead(isBusy ? 429 : 200).end('{"outputs":[]}');
  });
  const [kind] = mixOfTexts({}, { model: 'any', protocol: 'http', tenant: 'test' }) as [Kind];
  const options = { kind, targets: { http: server.url }, inFlight: 4, warmUpMs: 10, measureMs: 200 };
  const measured = async (measureMs: number): Promise<void> => {
    const { perSecond, answered, refused, failed } = await measureCapacity({ ...options, measureMs });
    assert.ok(answered > 0 && refused === 0 && failed === 0);
    assert.equal(perSecond, (answered * 1_000) / measureMs);
  };
  // A busy machine may keep this process from running for all of a short time.
  await measured(200).catch((error: Error) => {
    assert.match(error.message, /capacity: nothing was answered in time \(\)/);
    return measured(5_000);
  });
  isBusy = true;
  await assert.rejects(measureCapacity(options), /capacity: nothing was answered in time \(429\)/);
});

type LoadPhase = Awaited<ReturnType<typeof runLoad>>['phases'][number];
