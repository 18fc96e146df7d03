import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installFromApt } from './apt.ts';
import { PrivateApt } from './apt-get.ts';
import { CliError, type Context } from './context.ts';

/** Absolute paths of programs that were seen to run. */
export type Servers = { nats: string; redis: string };

/** A program that is looked for, and installed if it is not there. */
export type Program = {
  /** Also the package that `apt-get install` takes. */
  name: string;
  /** Further names under which it may be installed. */
  aliases?: readonly string[];
  /** The variable that names a program to use instead of looking for one. */
  override: string;
  /** Debian's packages that hold the program, besides its libraries. */
  packages: string[];
  /** Path inside the packages, where what they put into bin is a script that knows fixed paths only. */
  binary?: string;
  /** A file to put beside what is unpacked, and the variable that tells the program where it is. */
  settings?: { file: string; text: string; variable: string };
  /** Lowest version, [major, minor]. */
  least: [number, number];
};

export type ServerProgram = Program & {
  name: 'nats-server' | 'redis-server';
  override: 'NATS_SERVER' | 'REDIS_SERVER';
  /** With this the mesh uses a server that runs already. */
  url: 'NATS_URL' | 'REDIS_URL';
};

export const PROGRAMS: readonly ServerProgram[] = [
  { name: 'nats-server', override: 'NATS_SERVER', url: 'NATS_URL', packages: ['nats-server'], least: [2, 9] },
  // The program itself is in redis-tools; redis-server only links to it.
  {
    name: 'redis-server',
    override: 'REDIS_SERVER',
    url: 'REDIS_URL',
    packages: ['redis-server', 'redis-tools'],
    least: [7, 0],
  },
];

/** Debian keeps servers where an ordinary user's PATH does not look. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export type Looking = Pick<Context, 'env' | 'toolsDir' | 'say'>;

/**
 * Finds nats-server and redis-server, or installs them into `.spillway`.
 * @param unneeded Names of programs that are not needed because `NATS_URL` or `REDIS_URL` is set.
 * @throws CliError that says what to type, when one is neither there nor can be installed.
 */
export async function ensureServers(context: Looking, unneeded: readonly string[] = []): Promise<Servers> {
  const paths: Record<string, string> = {};
  using apt = new PrivateApt(context);
  for (const program of PROGRAMS) {
    if (unneeded.includes(program.name)) continue;
    paths[program.name] = findProgram(context, program) ?? (await installServer(context, apt, program));
  }
  return { nats: paths['nats-server'] ?? '', redis: paths['redis-server'] ?? '' };
}

/** @throws CliError when the program that the override names does not fit. */
export function findProgram({ env, toolsDir }: Looking, program: Program): string | undefined {
  const named = env[program.override];
  if (named) {
    const fault = whyUnfit(named, program);
    if (fault === undefined) return named;
    throw new CliError(`${program.override}=${named}: ${fault}`, [
      `Unset ${program.override} to let Spillway find or install ${program.name}.`,
    ]);
  }
  const folders = [...(env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS, join(toolsDir, 'bin')];
  const names = [program.name, ...(program.aliases ?? [])];
  const candidates = [...new Set(folders.filter((folder) => folder !== ''))].flatMap((folder) =>
    names.map((name) => join(folder, name)),
  );
  return candidates.find((path) => isExecutable(path) && whyUnfit(path, program) === undefined);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Runs `<program> --version`. Undefined: it runs and is new enough. */
function whyUnfit(path: string, program: Program): string | undefined {
  const run = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  if (run.error) return `cannot be run (${run.error.message})`;
  const version = readVersion(run.stdout);
  if (!version) return `does not tell its version: ${(run.stderr || run.stdout).trim().slice(0, 200)}`;
  if (isAtLeast(version, program.least)) return undefined;
  return `is ${version.join('.')}; at least ${program.least.join('.')} is needed`;
}

/** `nats-server: v2.9.10`, `Redis server v=7.0.15 sha=…` and `Chromium 156.0.8078.79 built on Debian` alike. */
export function readVersion(text: string): [number, number] | undefined {
  const match = /(?:v=?|Chromium |Google Chrome )(\d+)\.(\d+)/.exec(text);
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}

export const isAtLeast = ([major, minor]: [number, number], [leastMajor, leastMinor]: [number, number]): boolean =>
  major > leastMajor || (major === leastMajor && minor >= leastMinor);

/** @returns Its path, or why it is not to be had. */
export async function install(
  context: Looking,
  apt: PrivateApt,
  program: Program,
): Promise<{ path: string } | { why: string }> {
  const failed = await installFromApt(context, apt, program);
  const path = findProgram(context, program);
  if (path !== undefined) return { path };
  const unpacked = join(context.toolsDir, 'bin', program.name);
  return { why: failed ?? whyUnfit(unpacked, program) ?? 'it cannot be found afterwards' };
}

/** What to type where the launcher could not install a program. */
export function howToInstall({ name }: Program): string {
  const command = `apt-get update && apt-get install -y --no-install-recommends ${name}`;
  return process.getuid?.() === 0 ? `Type: ${command}` : `Type: sudo sh -c '${command}'`;
}

async function installServer(context: Looking, apt: PrivateApt, program: ServerProgram): Promise<string> {
  const installed = await install(context, apt, program);
  if ('path' in installed) return installed.path;
  throw new CliError(
    `${program.name} ≥ ${program.least.join('.')} is needed and could not be installed: ${installed.why}`,
    [
      howToInstall(program),
      '(Debian 12 and Ubuntu 24.04 or later have it; Ubuntu needs its universe section.)',
      `Or name a program: ${program.override}=/path/to/${program.name}`,
      `Or a server that runs already: ${program.url}=…`,
    ],
  );
}
