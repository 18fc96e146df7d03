import { createServer, type ListenOptions, type Server } from 'node:net';

const LOWEST = 20_000;
const HIGHEST = 31_999; // below Linux' range for outgoing connections: none of them can take the port between two starts

const listen = (options: ListenOptions): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ ...options, exclusive: true }, () => resolve(server));
  });

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

/**
 * Takes a name for this port that no other process can take while this one lives: test files run side by side, and between
 * the choice of a port and the start that binds it all of them could choose it. Linux' abstract sockets are names without a
 * file, which go with their process. @throws Error when another test file has it.
 */
async function reserve(port: number): Promise<void> {
  if (process.platform !== 'linux') return;
  (await listen({ path: `\0spillway-test-port-${port}` })).unref();
}

const given = new Set<number>();

/**
 * A TCP port of 127.0.0.1 that can be bound now, given to nobody else who asks here: not by this process again, nor by another
 * one while this one lives. Programs that do not ask could still take it.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (given.has(port)) continue;
    given.add(port);
    try {
      await reserve(port);
      await close(await listen({ port, host: '127.0.0.1' }));
      return port;
    } catch {
      // taken: try another
    }
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST} in 200 tries`);
}
