import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from './context.ts';
import type { ServerProgram } from './install.ts';

/**
 * Gets a server from the system's packages without installing it into the system: `apt-get download` and `dpkg-deb -x` into
 * `.spillway/packages/<name>`, with a wrapper in `.spillway/bin`. Needs no root, starts no service, runs no maintainer script;
 * apt checks the signatures. Everything outside may be missing: the lists (then private ones are fetched), the libraries (then
 * the packages that hold them are unpacked beside the program).
 *
 * @returns Why the program is still missing; the caller looks for itself whether it is there.
 */
export async function installFromApt(
  context: Pick<Context, 'toolsDir' | 'say'>,
  program: ServerProgram,
): Promise<string> {
  if (!runs('apt-get') || !runs('dpkg-deb')) return 'this machine has no apt-get and dpkg-deb';
  context.say(`installing ${program.name} into .spillway (apt-get download; nothing is changed in the system)`);
  const apt = new PrivateApt(context);
  const failed = await unpack(context, apt, program);
  if (failed === undefined) return 'the unpacked program does not run';
  if (process.getuid?.() !== 0) return failed;
  context.say(`that failed (${failed}); as root: apt-get install ${program.name}, without starting its service`);
  return await installAsRoot(context, program);
}

const runs = (command: string): boolean => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

async function unpack(
  { toolsDir }: Pick<Context, 'toolsDir'>,
  apt: PrivateApt,
  program: ServerProgram,
): Promise<string | undefined> {
  const target = join(toolsDir, 'packages', program.name);
  const work = `${target}.${process.pid}`; // two launchers at once do not meet
  const tree = join(work, 'root');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  try {
    const queue = [...program.packages];
    const seen = new Set(queue);
    while (queue.length > 0) {
      const failed = await apt.download(queue, work);
      if (failed !== undefined) return failed;
      const debs = readdirSync(work).filter((name) => name.endsWith('.deb'));
      const dependencies = debs.flatMap((deb) => dependsOf(join(work, deb)));
      for (const deb of debs) {
        const unpacked = spawnSync('dpkg-deb', ['-x', join(work, deb), tree], { encoding: 'utf8' });
        if (unpacked.status !== 0) return `dpkg-deb: ${unpacked.stderr.trim()}`;
        rmSync(join(work, deb));
      }
      queue.length = 0;
      if (missingLibraries(tree, program.name).length === 0) break;
      for (const name of dependencies) {
        if (seen.has(name) || !name.startsWith('lib') || isInstalled(name)) continue;
        seen.add(name);
        queue.push(name);
      }
    }
    const missing = missingLibraries(tree, program.name);
    if (missing.length > 0) return `libraries are missing: ${missing.join(', ')}`;
    rmSync(target, { recursive: true, force: true });
    renameSync(work, target);
    writeWrapper(toolsDir, program.name, join(target, 'root'));
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where a package puts its program; Debian's nats-server sits in sbin. */
const programIn = (tree: string, name: string): string =>
  ['usr/sbin', 'usr/bin'].map((folder) => join(tree, folder, name)).find(existsSync) ?? join(tree, 'usr/bin', name);

/** Every folder of the unpacked tree that holds shared libraries. */
function libraryPath(tree: string): string {
  const folders = ['usr/lib', 'lib'].map((folder) => join(tree, folder)).filter((folder) => existsSync(folder));
  const below = folders.flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
      .map((entry) => join(folder, entry.name)),
  );
  return [...below, ...folders].join(':');
}

/** Libraries that the loader would not find, by their sonames. A static program has none. */
function missingLibraries(tree: string, name: string): string[] {
  const ldd = spawnSync('ldd', [programIn(tree, name)], {
    encoding: 'utf8',
    env: { ...process.env, LD_LIBRARY_PATH: libraryPath(tree), LC_ALL: 'C' },
  });
  return [...(ldd.stdout ?? '').matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1] ?? '');
}

/** Names in the field Depends; of alternatives the first, which is the distribution's own choice. */
function dependsOf(deb: string): string[] {
  const { stdout } = spawnSync('dpkg-deb', ['-f', deb, 'Depends', 'Pre-Depends'], { encoding: 'utf8' });
  return parseDepends((stdout ?? '').replaceAll(/^(Pre-)?Depends: /gm, ''));
}

export const parseDepends = (field: string): string[] =>
  field
    .split(/[,\n]/)
    .map((part) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(part)?.[1])
    .filter((name) => name !== undefined);

const isInstalled = (name: string): boolean => {
  const { stdout } = spawnSync('dpkg-query', ['-s', name], { encoding: 'utf8' });
  return /^Status: .* installed$/m.test(stdout ?? '');
};

function writeWrapper(toolsDir: string, name: string, tree: string): void {
  const bin = join(toolsDir, 'bin');
  mkdirSync(bin, { recursive: true });
  const next = join(bin, `.${name}.${process.pid}`);
  const text = `#!/bin/sh
# Written by ./spillway: runs the program unpacked from the distribution's package, with the libraries beside it.
LD_LIBRARY_PATH='${libraryPath(tree)}'\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec '${programIn(tree, name)}' "$@"
`;
  writeFileSync(next, text);
  chmodSync(next, 0o755);
  renameSync(next, join(bin, name));
}

/** apt-get with the system's sources and keys, but, once they are needed, with package lists of its own. */
class PrivateApt {
  readonly #say: (line: string) => void;
  readonly #folder: string;
  #ownLists = false;

  constructor({ toolsDir, say }: Pick<Context, 'toolsDir' | 'say'>) {
    this.#say = say;
    this.#folder = join(toolsDir, 'apt');
  }

  /** @returns What went wrong, or undefined. */
  async download(packages: string[], into: string): Promise<string | undefined> {
    const first = await runApt(this.#arguments(['download', ...packages]), into);
    if (first === undefined || this.#ownLists) return first;
    // No lists (a bare machine), or old ones that name versions which are gone.
    this.#say('  fetching package lists into .spillway/apt');
    this.#ownLists = true;
    for (const folder of ['lists/partial', 'cache/archives/partial']) {
      mkdirSync(join(this.#folder, folder), { recursive: true });
    }
    const updated = await runApt(this.#arguments(['update']), this.#folder);
    const second = await runApt(this.#arguments(['download', ...packages]), into);
    return second === undefined ? undefined : (updated ?? second);
  }

  #arguments(command: string[]): string[] {
    // As root apt would drop to the user _apt, who may not write into this folder.
    const options = ['-q', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=2'];
    if (!this.#ownLists) return [...options, ...command];
    mkdirSync(this.#folder, { recursive: true });
    const config = join(this.#folder, 'apt.conf');
    // Hooks of the system after an update need root. `-c` is read last, so that it wins.
    const lines = [
      '#clear APT::Update::Pre-Invoke;',
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      `Dir::State::Lists "${join(this.#folder, 'lists')}";`,
      `Dir::Cache "${join(this.#folder, 'cache')}";`,
      'Acquire::Languages "none";',
      'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
    ];
    writeFileSync(config, `${lines.join('\n')}\n`);
    return [...options, '-c', config, ...command];
  }
}

/** @returns The last error lines, or undefined when it went well. */
function runApt(args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('apt-get', args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', ...env },
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) => resolve(code === 0 ? undefined : lastErrors(output, code)));
  });
}

function lastErrors(output: string, code: number | null): string {
  const errors = output.split('\n').filter((line) => /^(E|Err:|W): ?/.test(line));
  return errors.slice(-3).join('; ') || `apt-get ended with ${code}`;
}

/** Debian asks `policy-rc.d` before it starts a service: 101 forbids it. One that the machine has already stays. */
async function installAsRoot({ say }: Pick<Context, 'say'>, program: ServerProgram): Promise<string> {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await runApt(['-q', 'update'], '/');
    const failed = await runApt(['-q', 'install', '-y', '--no-install-recommends', program.name], '/');
    if (failed !== undefined) say(`  ${failed}`);
    return failed ?? 'the installed program does not fit';
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}
