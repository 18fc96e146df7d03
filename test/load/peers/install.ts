import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPO } from '@spillway/testing/find-binary';
import { type PeerName, requirementsOf } from './catalogue.ts';

const run = promisify(execFile);

/** Git-ignored; what a peer needs lies here and nowhere else. */
export const DEFAULT_DIR = join(REPO, '.spillway', 'peers');
/** The requirements are resolved for this version: another one may lack some of the wheels. */
const PYTHON = process.env['PEERS_PYTHON'] ?? 'python3.11';
const PIP_TIMEOUT_MS = 900_000;

/** What became of the last installation. */
export type Installed = { state: 'installed' } | { state: 'absent' } | { state: 'failed'; reason: string };
type Note = { requirements: string; reason: string };

export const environmentOf = (dir: string, name: PeerName): string => join(dir, name);
const noteOf = (dir: string, name: PeerName): string => join(dir, `${name}.json`);
const digest = (name: PeerName): string =>
  createHash('sha256')
    .update(readFileSync(requirementsOf(name)))
    .digest('hex');

/** Reads the note that `installPeer` left; one of other requirements counts as none. */
export function installedState(dir: string, name: PeerName): Installed {
  const file = noteOf(dir, name);
  if (!existsSync(file)) return { state: 'absent' };
  const note = JSON.parse(readFileSync(file, 'utf8')) as Note;
  if (note.requirements !== digest(name)) return { state: 'absent' };
  if (note.reason !== '') return { state: 'failed', reason: note.reason };
  return { state: existsSync(environmentOf(dir, name)) ? 'installed' : 'absent' };
}

/** What a tool said last, on one line: pip's errors are the lines that begin with ERROR. */
function reasonOf(thrown: unknown): string {
  const { stderr = '', message, code } = thrown as Error & { stderr?: string; code?: unknown };
  if (code === 'ENOENT') return `${PYTHON} not found: install Python 3.11, or name it by PEERS_PYTHON`;
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => line.startsWith('ERROR'));
  return (errors.length > 0 ? errors : lines.length > 0 ? lines.slice(-1) : [message]).join(' ').slice(0, 400);
}

/**
 * Makes a peer's virtual environment with exactly the versions of its requirements.txt, wheels only (no compiler runs). Does
 * nothing when that is there. Never throws: the reason is in the answer, and stays for `list`.
 */
export async function installPeer(dir: string, name: PeerName): Promise<Installed> {
  if (installedState(dir, name).state === 'installed') return { state: 'installed' };
  const environment = environmentOf(dir, name);
  const pip = (...args: string[]) =>
    run(join(environment, 'bin', 'pip'), ['--disable-pip-version-check', '--quiet', ...args], {
      timeout: PIP_TIMEOUT_MS,
    });
  let reason = '';
  try {
    await mkdir(dir, { recursive: true });
    await rm(environment, { recursive: true, force: true });
    await run(PYTHON, ['-m', 'venv', environment]);
    await pip('install', '--no-deps', '--only-binary=:all:', '-r', requirementsOf(name));
    await pip('check');
  } catch (thrown) {
    reason = reasonOf(thrown);
  }
  const note: Note = { requirements: digest(name), reason };
  await mkdir(dir, { recursive: true });
  await writeFile(noteOf(dir, name), JSON.stringify(note));
  return installedState(dir, name);
}
