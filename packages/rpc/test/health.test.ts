import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentials, makeClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { dialDuplex, serveDuplex } from '../src/duplex.ts';
import { loadServices } from '../src/load.ts';
import { startGrpcServer } from '../src/server.ts';
import { ECHO, Heard, serve } from './support.ts';

const HEALTH = loadServices(['grpc/health/v1/health.proto'], [PROTO_DIR])['grpc.health.v1.Health']!;
type Status = { status: string };
type Watch = { on(event: string, handler: (value: never) => void): void };

/** As grpc_health_probe speaks: the plain protocol, without any code of ours. */
function probe(port: number) {
  const HealthClient = makeClientConstructor(HEALTH, 'Health');
  const client = new HealthClient(`127.0.0.1:${port}`, credentials.createInsecure());
  const call = <T>(method: string, request: object): Promise<T> =>
    new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer: T) => (error === null ? resolve(answer) : reject(error));
      client[method]!(request, done);
    });
  return {
    check: (service: string) => call<Status>('Check', { service }),
    list: () => call<{ statuses: Record<string, Status> }>('List', {}),
    watch: (service: string) => {
      const seen = new Heard<string>();
      const stream = client['Watch']!({ service }) as Watch;
      stream.on('data', ({ status }: Status) => seen.hear(status));
      stream.on('end', () => seen.hear('end'));
      stream.on('error', () => seen.hear('error'));
      return seen;
    },
    [Symbol.dispose]: () => client.close(),
  };
}

const echo = () => serveDuplex(ECHO, (stream) => stream.onMessage((note) => void stream.send(note)));

test('the server and each of its services are NOT_SERVING until told, and a stranger is NOT_FOUND', async () => {
  await using server = await serve([echo()]);
  using health = probe(server.port);
  assert.deepEqual(await health.check(''), { status: 'NOT_SERVING' });
  server.setServing(true);
  assert.deepEqual(await health.check(''), { status: 'SERVING' });
  assert.deepEqual(await health.check('spillway.test.Echo'), { status: 'SERVING' });
  await assert.rejects(health.check('spillway.test.Other'), { code: 5 });
});

test('List has the server and its services', async () => {
  await using server = await serve([echo()]);
  using health = probe(server.port);
  server.setServing(true);
  const serving = { status: 'SERVING' };
  assert.deepEqual({ ...(await health.list()).statuses }, { '': serving, 'spillway.test.Echo': serving });
});

test('a watch tells the status at once, then each change, and a drain ends it', async () => {
  await using server = await serve([echo()]);
  using health = probe(server.port);
  const seen = health.watch('spillway.test.Echo');
  assert.equal(await seen.next(), 'NOT_SERVING');
  server.setServing(true);
  assert.equal(await seen.next(), 'SERVING');
  server.setServing(true); // no change, no message
  assert.equal(await server.drain(60_000), true);
  assert.equal(await seen.next(), 'NOT_SERVING');
  assert.equal(await seen.next(), 'end');
});

test('the watch of an unknown service says so and stays open', async () => {
  await using server = await serve([echo()]);
  using health = probe(server.port);
  const unknown = health.watch('spillway.test.Other');
  const known = health.watch('');
  assert.equal(await unknown.next(), 'SERVICE_UNKNOWN');
  assert.equal(await known.next(), 'NOT_SERVING');
  server.setServing(true);
  assert.equal(await known.next(), 'SERVING');
  assert.deepEqual(unknown.all, ['SERVICE_UNKNOWN']);
});

test('a drain waits for open streams and says whether they ended in time', async () => {
  const service = echo();
  await using server = await serve([service]);
  const up = new Heard<void>();
  const down = new Heard<string>();
  await using _client = dialDuplex({
    address: `127.0.0.1:${server.port}`,
    method: ECHO,
    onMessage: () => undefined,
    onUp: () => up.hear(),
    onDown: (reason) => down.hear(reason.code),
  });
  await up.next();
  const drained = server.drain(60_000);
  for (const stream of service.streams) stream.close();
  assert.equal(await drained, true);
  assert.equal(await down.next(), 'UNAVAILABLE');
});

test('a drain that takes too long resets what is left', async () => {
  await using server = await serve([echo()]);
  const up = new Heard<void>();
  const down = new Heard<string>();
  await using _client = dialDuplex({
    address: `127.0.0.1:${server.port}`,
    method: ECHO,
    onMessage: () => undefined,
    onUp: () => up.hear(),
    onDown: (reason) => down.hear(reason.code),
  });
  await up.next();
  assert.equal(await server.drain(20), false);
  assert.match(await down.next(), /UNAVAILABLE|CANCELLED|INTERNAL/);
});

test('a port in use is an error at the start', async () => {
  await using server = await serve([echo()]);
  const options = { host: '127.0.0.1', port: server.port, services: [echo()], maxReceiveBytes: 1_024 };
  await assert.rejects(startGrpcServer(options), /EADDRINUSE|address already in use|No address added/i);
});
