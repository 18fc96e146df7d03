import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { REPO } from '@spillway/testing/find-binary';

export type Manifest = {
  name: string;
  version: string;
  private?: boolean;
  license?: string;
  type?: string;
  exports?: Record<string, string>;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
};

export type Workspace = { kind: 'package' | 'service' | 'test'; name: string; dir: string; manifest: Manifest };

export const readJson = <T>(...path: string[]): T => JSON.parse(readFileSync(join(REPO, ...path), 'utf8')) as T;

const folders = (dir: string): string[] =>
  readdirSync(join(REPO, dir), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

const workspace = (kind: Workspace['kind'], name: string, dir: string): Workspace => ({
  kind,
  name,
  dir,
  manifest: readJson<Manifest>(dir, 'package.json'),
});

/** Every workspace of the repository; `dir` is relative to its root. */
export const WORKSPACES: readonly Workspace[] = [
  ...folders('packages').map((name) => workspace('package', name, `packages/${name}`)),
  ...folders('services').map((name) => workspace('service', name, `services/${name}`)),
  workspace('test', 'test', 'test'),
];

/** TypeScript files below a folder, relative to the root. */
export function sources(dir: string): string[] {
  const found: string[] = [];
  const walk = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name.startsWith('.')) continue;
      if (entry.isDirectory()) walk(join(at, entry.name));
      else if (entry.name.endsWith('.ts')) found.push(relative(REPO, join(at, entry.name)));
    }
  };
  walk(join(REPO, dir));
  return found;
}

export const readSource = (file: string): string => readFileSync(join(REPO, file), 'utf8');

export type Import = { file: string; from: string; typeOnly: boolean };

const IMPORT = /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

/** Every import of a file: static, re-exported, dynamic with a literal. */
export function importsOf(file: string): Import[] {
  return [...readSource(file).matchAll(IMPORT)]
    .map((match) => ({ file, from: match[2] ?? match[3] ?? '', typeOnly: match[1] !== undefined }))
    .filter(({ from }) => !from.includes('${')); // text of a program that a test writes
}
