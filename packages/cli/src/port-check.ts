import { createServer } from 'node:net';
import { CliError } from './context.ts';
import { portHolder } from './process-info.ts';

export type WantedPort = { port: number; what: string };

const MOST_LINES = 4;

/**
 * Fails before anything is started if a port of the plan is taken.
 * @throws CliError naming each taken port, what it was for, and who holds it where that can be seen.
 */
export async function requireFreePorts(wanted: WantedPort[]): Promise<void> {
  const taken: WantedPort[] = [];
  await Promise.all(wanted.map(async (want) => (await isFree(want.port)) || taken.push(want)));
  if (taken.length === 0) return;
  taken.sort((a, b) => a.port - b.port);
  const lines = taken
    .slice(0, MOST_LINES)
    .map(({ port, what }) => `port ${port} (${what}) is held by ${describeHolder(port)}`);
  if (taken.length > MOST_LINES) lines.push(`and ${taken.length - MOST_LINES} more`);
  throw new CliError(lines.join('\n'), [
    'End what holds it, or choose other ports: --port-base 9000 (any number; the mesh takes up to 60 ports from it).',
  ]);
}

function describeHolder(port: number): string {
  const holder = portHolder(port);
  if (!holder) return 'another program (of another user: its name cannot be seen)';
  const whole = holder.command.replace(/^\S*\//, ''); // the program's name is enough
  const command = whole.length > 140 ? `${whole.slice(0, 140)}…` : whole;
  return `pid ${holder.pid}: ${command}`;
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
