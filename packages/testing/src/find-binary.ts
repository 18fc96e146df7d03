import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the repository, without a slash at the end. */
export const REPO = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * Path of a server's program: the variable `override` names it, else PATH, the folders of system programs (not on an
 * ordinary user's PATH in Debian), and what the launcher installed.
 * @throws Error that names the command which installs it.
 */
export function findBinary(name: string, override: string): string {
  const named = process.env[override];
  if (named !== undefined && named !== '') {
    if (isExecutable(named)) return named;
    throw new Error(`${override}=${named} is not a program; unset it, or run ./spillway test, which installs ${name}`);
  }
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/usr/local/bin',
    '/usr/bin',
    join(REPO, '.spillway', 'bin'),
  ];
  for (const folder of folders) {
    const file = join(folder, name);
    if (folder !== '' && isExecutable(file)) return file;
  }
  throw new Error(`${name} not found in PATH, /usr/sbin or .spillway/bin: run ./spillway test, which installs it`);
}
