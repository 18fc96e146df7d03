import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * Makes the package for the registry: JavaScript, types and a package.json of its own, in `dist/` or the folder that is named.
 * Inside this repository nothing needs it.
 *
 *     npm run build -w @spillway/client && npm publish packages/client/dist
 */
const here = import.meta.dirname;
const repository = join(here, '..', '..');
const dist = resolve(process.argv[2] ?? join(here, 'dist'));

type Manifest = Record<string, unknown> & { engines?: unknown };
const read = (...path: string[]): Manifest => JSON.parse(readFileSync(join(...path), 'utf8')) as Manifest;

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc');
execFileSync(process.execPath, [tsc, '-p', join(here, 'tsconfig.build.json'), '--outDir', dist], { stdio: 'inherit' });

const { private: _, scripts: __, devDependencies: ___, exports: ____, ...manifest } = read(here, 'package.json');
const published = {
  ...manifest,
  engines: { node: '>=22' },
  sideEffects: false,
  exports: { '.': { types: './mod.d.ts', default: './mod.js' }, './package.json': './package.json' },
  files: ['*.js', '*.d.ts', 'NOTICE'],
};
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
cpSync(join(here, 'README.md'), join(dist, 'README.md'));
for (const file of ['LICENSE', 'NOTICE']) cpSync(join(repository, file), join(dist, file));
process.stdout.write(`${dist}: ${readdirSync(dist).length} files\n`);
