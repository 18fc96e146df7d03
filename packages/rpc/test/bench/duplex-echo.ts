/**
 * Messages/s of an echo over one duplex stream, server and client in two processes:
 * node packages/rpc/test/bench/duplex-echo.ts [bytes=1024] [in flight=64] [seconds=5]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { argv, env } from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Codec } from '@spillway/contracts/codec';
import { dialDuplex, serveDuplex } from '../../src/duplex.ts';
import { startGrpcServer } from '../../src/server.ts';

const bytes: Codec<Uint8Array> = { encode: (message) => message, decode: (message) => message };
const method = { path: '/spillway.bench.Echo/Echo', request: bytes, response: bytes };

async function serve(): Promise<void> {
  const echo = serveDuplex(method, (stream) => {
    stream.onMessage((message) => {
      if (!stream.send(message)) throw new Error('the echo fell behind');
    });
  });
  const server = await startGrpcServer({ host: '127.0.0.1', port: 0, services: [echo], maxReceiveBytes: 16 << 20 });
  process.once('disconnect', () => process.exit());
  process.send?.(server.port);
}

async function load(size: number, inFlight: number, seconds: number): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), { env: { ...env, ECHO_SERVER: '1' } });
  const [port] = (await once(child, 'message')) as [number];
  const message = new Uint8Array(size);
  const done = Promise.withResolvers<void>();
  let received = 0;
  const client = dialDuplex<Uint8Array, Uint8Array>({
    address: `127.0.0.1:${port}`,
    method,
    onUp: () => {
      for (let i = 0; i < inFlight; i += 1) client.send(message);
    },
    onMessage: (answer) => {
      received += 1;
      if (!client.send(answer)) throw new Error('the client fell behind');
    },
    onDown: done.reject,
  });
  const wait = (ms: number) => Promise.race([new Promise((resolve) => setTimeout(resolve, ms)), done.promise]);
  await wait(1_000);
  const before = { received, atMs: performance.now(), cpu: process.cpuUsage() };
  await wait(seconds * 1_000);
  const elapsedS = (performance.now() - before.atMs) / 1_000;
  const cpu = process.cpuUsage(before.cpu);
  const rate = (received - before.received) / elapsedS;
  const clientCpuUs = (cpu.user + cpu.system) / (received - before.received);
  console.log(
    `${size} B, ${inFlight} in flight: ${rate.toFixed(0)} messages/s, client ${clientCpuUs.toFixed(1)} µs CPU each`,
  );
  await client.close();
  child.disconnect();
}

const [size, inFlight, seconds] = argv.slice(2).map(Number);
await (env['ECHO_SERVER'] === '1' ? serve() : load(size ?? 1_024, inFlight ?? 64, seconds ?? 5));
