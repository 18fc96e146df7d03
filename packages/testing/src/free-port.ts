import { createServer } from 'node:net';

const LOWEST = 20_000;
const HIGHEST = 31_999; // below Linux' range for outgoing connections: none of them can take the port between two starts

const bind = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });

const given = new Set<number>();

/**
 * A TCP port of 127.0.0.1 that the OS lets us bind now, never given twice by this process. It is free, not reserved: the
 * random choice keeps test files that run side by side apart.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const candidate = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (given.has(candidate)) continue;
    try {
      await bind(candidate);
      given.add(candidate);
      return candidate;
    } catch {
      // taken: try another
    }
  }
  return bind(0);
}
