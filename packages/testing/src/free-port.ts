import { createServer, type Server } from 'node:net';

const LOWEST = 20_000;
const BLOCK = 50;
const BLOCKS = 240; // up to 31 999: below Linux' range for outgoing connections, none of which can take a port between two starts

/** @returns The server that listens there; undefined: the port is taken. */
const listen = (port: number): Promise<Server | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/**
 * Whoever listens at the first port of a block may give away the others: no two processes choose the same port, however long one of
 * them waits before it binds. The system takes the block back when the process ends.
 */
async function claimBlock(): Promise<number[]> {
  const from = Math.floor(Math.random() * BLOCKS);
  for (let n = 0; n < BLOCKS; n += 1) {
    const first = LOWEST + BLOCK * ((from + n) % BLOCKS);
    const guard = await listen(first);
    if (guard === undefined) continue;
    guard.unref();
    return Array.from({ length: BLOCK - 1 }, (_, at) => first + 1 + at);
  }
  throw new Error(`expected a free block of ${BLOCK} ports from ${LOWEST} on, all ${BLOCKS} are taken`);
}

const left: number[] = [];
let turn: Promise<unknown> = Promise.resolve();

async function next(): Promise<number> {
  for (;;) {
    if (left.length === 0) left.push(...(await claimBlock()));
    const port = left.shift() as number;
    if (await isFree(port)) return port;
  }
}

/** A TCP port of 127.0.0.1 that nobody listens at, given to this process alone and only once. */
export function freePort(): Promise<number> {
  const port = turn.then(next);
  turn = port.catch(() => undefined);
  return port;
}
