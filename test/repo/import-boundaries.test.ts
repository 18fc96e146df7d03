import assert from 'node:assert/strict';
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import { test } from 'node:test';
import { type Import, importsOf, sources, WORKSPACES, type Workspace } from './workspaces.ts';

const SERVICES = new Set(WORKSPACES.filter((w) => w.kind === 'service').map((w) => w.name));

/** A package's `src` may import packages of lower levels only. */
const LEVELS: Record<string, number> = {
  errors: 0,
  contracts: 1,
  config: 2,
  telemetry: 2,
  lifecycle: 2,
  redis: 2,
  bus: 3,
  rpc: 3,
  service: 4,
  testing: 4,
  load: 4,
  cli: 5,
};
/** The public SDK stands apart: it is published alone, so it uses none of them; the CLI uses it. */
const CLIENT_USES: string[] = [];

/** The one file, or folder, of the repository's `src` that may import a foreign library. */
const ONE_IMPORTER: [library: RegExp, allowed: RegExp][] = [
  [/^nats$/, /^packages\/(bus\/src\/nats-client\.ts|client\/)/],
  [/^@grpc\/grpc-js$/, /^packages\/(rpc|client|load)\//], // load: a client of any server, with none of the mesh's manners
  [/^@grpc\/proto-loader$/, /^packages\/(rpc|client)\//],
  [/^protobufjs$/, /^packages\/(contracts|cli)\//], // the CLI reads OTLP, whose messages are not the mesh's
  [/^@opentelemetry\/(?!api$)/, /^packages\/telemetry\//],
  [/^(pino|prom-client)$/, /^packages\/telemetry\//],
  [/^onnxruntime-node$/, /^services\/gpu-worker\/src\/adapters\//],
  [/^ioredis$/, /^packages\/redis\/src\/client\.ts$/],
  [/^fastify$/, /^services\/gateway\/src\/adapters\//],
];

const BUILTINS = new Set(builtinModules);
/** Functions of bytes and values only. */
const CORE_BUILTINS = /^node:(crypto|buffer|util|assert|zlib)(\/|$)/;

/** What a workspace must have installed for this import; undefined: nothing, it is its own or Node's. */
function libraryOf({ from }: Import, { name }: Workspace): string | undefined {
  if (from.startsWith('.') || from.startsWith('node:')) return undefined;
  const used = own(from);
  if (used === undefined) return packageOf(from);
  return used.name === name ? undefined : `@spillway/${used.name}`;
}

const own = (from: string): { name: string; path: string } | undefined => {
  const match = /^@spillway\/([^/]+)(?:\/(.+))?$/.exec(from);
  return match ? { name: match[1] as string, path: match[2] ?? '' } : undefined;
};
const packageOf = (from: string): string =>
  from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');
const target = ({ file, from }: Import): string => posix.join(posix.dirname(file), from);

const all = WORKSPACES.map((workspace) => ({ workspace, imports: sources(workspace.dir).flatMap(importsOf) }));
const inSrc = ({ file }: Import): boolean => /^(packages|services)\/[^/]+\/src\//.test(file);
const show = (imports: Import[]): string[] => imports.map(({ file, from }) => `${file} imports ${from}`);

function offenders(breaks: (entry: Import, workspace: Workspace) => boolean): string[] {
  return all.flatMap(({ workspace, imports }) => show(imports.filter((entry) => breaks(entry, workspace))));
}

test('the walk sees the imports', () => {
  const count = all.reduce((sum, { imports }) => sum + imports.length, 0);
  assert.ok(count > 200, `${count} imports`);
});

test('services import no other service, and packages import no service', () => {
  const breaks = ({ from }: Import, { kind, name }: Workspace): boolean => {
    const used = own(from)?.name ?? '';
    return kind !== 'test' && SERVICES.has(used) && used !== name;
  };
  assert.deepEqual(offenders(breaks), []);
});

test('relative imports stay inside their workspace and name the file with its ending', () => {
  const breaks = (entry: Import, { dir }: Workspace): boolean =>
    entry.from.startsWith('.') && (!target(entry).startsWith(`${dir}/`) || !/\.(ts|json)$/.test(entry.from));
  assert.deepEqual(offenders(breaks), []);
});

test('packages are imported by sub-path, and the client by its public list', () => {
  const breaks = ({ from }: Import): boolean => {
    const used = own(from);
    return used !== undefined && (used.path === '') !== (used.name === 'client');
  };
  assert.deepEqual(offenders(breaks), []);
});

test('a package imports only packages of lower levels; the client imports none', () => {
  const breaks = (entry: Import, { kind, name }: Workspace): boolean => {
    const used = own(entry.from)?.name;
    if (kind !== 'package' || used === undefined || used === name || !inSrc(entry)) return false;
    if (name === 'client') return !CLIENT_USES.includes(used);
    if (name === 'cli' && used === 'client') return false;
    return (LEVELS[used] ?? 9) >= (LEVELS[name] ?? 0);
  };
  assert.deepEqual(offenders(breaks), []);
});

test('the core of a service imports the core, contracts, errors and the type of a clock, and nothing that does I/O', () => {
  const breaks = (entry: Import): boolean => {
    const match = /^(services\/[^/]+\/src\/core)\//.exec(entry.file);
    if (!match) return false;
    if (entry.from.startsWith('.')) return !target(entry).startsWith(`${match[1]}/`);
    if (entry.from.startsWith('node:')) return !CORE_BUILTINS.test(entry.from);
    const used = own(entry.from);
    if (used === undefined) return true;
    if (used.name === 'contracts' || used.name === 'errors') return false;
    return !(used.name === 'lifecycle' && used.path === 'clock' && entry.typeOnly);
  };
  assert.deepEqual(offenders(breaks), []);
});

test('a foreign library has one importer', () => {
  const breaks = (entry: Import): boolean => {
    const rule = ONE_IMPORTER.find(([library]) => library.test(packageOf(entry.from)));
    return inSrc(entry) && rule !== undefined && !rule[1].test(entry.file);
  };
  assert.deepEqual(offenders(breaks), []);
});

test('what a workspace imports is declared in its package.json, and builtins are written with node:', () => {
  const breaks = (entry: Import, workspace: Workspace): boolean => {
    const library = libraryOf(entry, workspace);
    if (library === undefined) return false;
    if (BUILTINS.has(library)) return true;
    const { manifest } = workspace;
    const always = { ...manifest.peerDependencies, ...manifest.dependencies };
    const declared = inSrc(entry) ? always : { ...always, ...manifest.devDependencies };
    return declared?.[library] === undefined;
  };
  assert.deepEqual(offenders(breaks), []);
});

test('what a package.json declares is imported: dependencies by src, what only tests need is in devDependencies', () => {
  const idle = all.flatMap(({ workspace, imports }) => {
    const { kind, manifest, name } = workspace;
    const usedBy = (entries: Import[]) => new Set(entries.map((entry) => libraryOf(entry, workspace)));
    const bySrc = usedBy(imports.filter((entry) => kind === 'test' || inSrc(entry)));
    const byOthers = usedBy(imports.filter((entry) => !inSrc(entry)));
    const { dependencies = {}, peerDependencies = {}, devDependencies = {} } = manifest;
    return [
      ...Object.keys({ ...peerDependencies, ...dependencies }).filter((library) => !bySrc.has(library)),
      ...Object.keys(devDependencies).filter((library) => !byOthers.has(library) || dependencies[library]),
    ].map((library) => `${name}: ${library}`);
  });
  assert.deepEqual(idle, []);
});
