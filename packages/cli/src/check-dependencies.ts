/**
 * Tells the launcher whether `node_modules` holds what `package-lock.json` asks for: exit code 0 yes, 1 no. Runs before anything
 * is installed, so it imports only Node's own modules.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

export type LockedPackage = {
  version?: string;
  link?: boolean;
  resolved?: string;
  optional?: boolean;
  devOptional?: boolean;
  peer?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
};
type Lock = { packages: Record<string, LockedPackage> };

export type Platform = { os: string; cpu: string };

/**
 * npm leaves out optional packages of other platforms and peers that nobody asked for. An optional package made for exactly
 * this platform is a tool's binary: without it the tool does not run. (`libc` counts as glibc: Spillway's own Node needs it.)
 */
function mayBeMissing(locked: LockedPackage, { os, cpu }: Platform): boolean {
  if (!locked.optional && !locked.devOptional && !locked.peer) return false;
  const madeForHere =
    locked.os?.includes(os) === true && locked.cpu?.includes(cpu) === true && (locked.libc?.includes('glibc') ?? true);
  return !madeForHere;
}

/**
 * First package that is missing or of another version, or undefined when all is there.
 * `installed` is `node_modules/.package-lock.json`, which npm writes last: without it an install was cut short.
 */
export function firstDifference(wanted: Lock, installed: Lock, platform: Platform): string | undefined {
  for (const [path, locked] of Object.entries(wanted.packages)) {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) continue;
    const found = installed.packages[path];
    if (!found) {
      if (mayBeMissing(locked, platform)) continue;
      return path;
    }
    if (found.version !== locked.version || (found.link ?? false) !== (locked.link ?? false)) return path;
  }
  return undefined;
}

/** First package of `node_modules/.package-lock.json` that is not on the disk, or a workspace link that leads elsewhere. */
function firstAbsent(root: string, installed: Lock): string | undefined {
  for (const [path, found] of Object.entries(installed.packages)) {
    if (!path.startsWith('node_modules/')) continue;
    const here = join(root, path);
    if (found.link) {
      if (!existsSync(here) || realpathSync(here) !== realpathSync(join(root, found.resolved ?? ''))) return path;
    } else if (!existsSync(join(here, 'package.json'))) return path;
  }
  return undefined;
}

if (import.meta.main) {
  const root = process.argv[2] ?? '.';
  try {
    const read = (path: string): Lock => JSON.parse(readFileSync(join(root, path), 'utf8')) as Lock;
    const installed = read('node_modules/.package-lock.json');
    const platform = { os: process.platform, cpu: process.arch };
    const wrong = firstDifference(read('package-lock.json'), installed, platform) ?? firstAbsent(root, installed);
    process.exitCode = wrong === undefined ? 0 : 1;
  } catch {
    process.exitCode = 1; // no hidden lock file: nothing was installed, or not to the end
  }
}
