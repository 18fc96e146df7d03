import { existsSync, readdirSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { integerOption, parseCommand } from '../args.ts';
import { CliError, type Context } from '../context.ts';
import { tailOf } from '../log-file.ts';
import { formatLine } from '../log-line.ts';
import { type MeshState, readState } from '../state-file.ts';

export const OPTIONS = {
  follow: { type: 'boolean', short: 'f' },
  lines: { type: 'string', short: 'n' },
  json: { type: 'boolean' },
} as const;

const FOLLOW_EVERY_MS = 200;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('logs', argv, OPTIONS, { optional: ['NAME'] });
  const lines = integerOption('logs', 'lines', values.lines, { min: 0, max: 1_000, fallback: 20 });
  const folder = join(context.dataDir, 'logs');
  const names = namesOf(folder, positionals[0], readState(context.dataDir));
  if (names.length === 0) {
    throw new CliError(positionals[0] ? `no log of "${positionals[0]}" in ${folder}` : `no logs in ${folder} yet`, [
      'Names are instances or services, as ./spillway status shows them.',
    ]);
  }
  const width = Math.max(...names.map((name) => name.length));
  const show = (name: string, line: string) => {
    if (line === '') return;
    const text = values.json ? line : formatLine(line);
    context.print(names.length > 1 ? `${name.padEnd(width)} | ${text}` : text);
  };
  const followers = names.map((name) => new Follower(join(folder, `${name}.log`), (line) => show(name, line)));
  for (const follower of followers) await follower.skipToEnd();
  for (const name of names) for (const line of tailOf(join(folder, `${name}.log`), lines)) show(name, line);
  while (values.follow) {
    await delay(FOLLOW_EVERY_MS);
    for (const follower of followers) await follower.read();
  }
  return 0;
}

/** Logs of one instance, of all instances of a service, or all of the mesh that runs (of the last ones, if none does). */
function namesOf(folder: string, wanted: string | undefined, running: MeshState | undefined): string[] {
  const all = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.log')) : [];
  const names = all.map((file) => file.slice(0, -'.log'.length)).sort();
  if (wanted === undefined) {
    const current = running && [...running.services.map(({ instance }) => instance), 'launcher'];
    return current ? names.filter((name) => current.includes(name)) : names;
  }
  return names.filter((name) => name === wanted || name.replace(/-\d+$/, '') === wanted);
}

/** Reads what is appended to a file, whole lines at a time; goes back to its start when it was emptied. */
class Follower {
  readonly #path: string;
  readonly #onLine: (line: string) => void;
  #offset = 0;
  #rest = '';

  constructor(path: string, onLine: (line: string) => void) {
    this.#path = path;
    this.#onLine = onLine;
  }

  async skipToEnd(): Promise<void> {
    this.#offset = (await stat(this.#path)).size;
  }

  async read(): Promise<void> {
    const file = await open(this.#path, 'r');
    try {
      const { size } = await file.stat();
      if (size < this.#offset) this.#offset = 0;
      if (size === this.#offset) return;
      const buffer = Buffer.alloc(Math.min(size - this.#offset, 1024 * 1024));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#offset);
      this.#offset += bytesRead;
      const parts = (this.#rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
      this.#rest = parts.pop() ?? '';
      for (const line of parts) this.#onLine(line);
    } finally {
      await file.close();
    }
  }
}
