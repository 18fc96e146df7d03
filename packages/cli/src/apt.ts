import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type PrivateApt, runApt } from './apt-get.ts';
import type { Context } from './context.ts';
import type { Program } from './install.ts';

/**
 * Gets a program from the system's packages without installing it into the system: `apt-get download` and `dpkg-deb -x` into
 * `.spillway/packages/<name>`, with a wrapper in `.spillway/bin`. Needs no root, starts no service, runs no maintainer script;
 * apt checks the signatures. Everything outside may be missing: the lists (then private ones are fetched), the libraries (then
 * the packages that hold them are unpacked beside the program).
 *
 * @returns What went wrong, or undefined; the caller looks for itself whether the program is there and fits.
 */
export async function installFromApt(
  context: Pick<Context, 'toolsDir' | 'say'>,
  apt: PrivateApt,
  program: Program,
): Promise<string | undefined> {
  if (!runs('apt-get') || !runs('dpkg-deb')) return 'this machine has no apt-get and dpkg-deb';
  context.say(`installing ${program.name} into .spillway (apt-get download; nothing is changed in the system)`);
  const failed = await unpack(context, apt, program);
  if (failed === undefined || process.getuid?.() !== 0) return failed;
  context.say(`that failed (${failed}); as root: apt-get install ${program.name}, without starting its service`);
  return await installAsRoot(context, program);
}

const runs = (command: string): boolean => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

async function unpack(
  { toolsDir }: Pick<Context, 'toolsDir'>,
  apt: PrivateApt,
  program: Program,
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
      if (missingLibraries(tree, program).length === 0) break;
      for (const name of dependencies) {
        if (seen.has(name) || !name.startsWith('lib') || isInstalled(name)) continue;
        seen.add(name);
        queue.push(name);
      }
    }
    const missing = missingLibraries(tree, program);
    if (missing.length > 0) return `libraries are missing: ${missing.join(', ')}`;
    if (program.settings) writeFileSync(join(tree, program.settings.file), program.settings.text);
    rmSync(target, { recursive: true, force: true });
    renameSync(work, target);
    writeWrapper(toolsDir, program, join(target, 'root'));
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where a package puts its program; Debian's nats-server sits in sbin. */
function programIn(tree: string, { name, binary }: Program): string {
  const places = binary ? [binary] : [`usr/sbin/${name}`, `usr/bin/${name}`];
  return places.map((place) => join(tree, place)).find(existsSync) ?? join(tree, 'usr/bin', name);
}

/** Every folder of the unpacked tree that may hold shared libraries: some keep private ones in a folder of their own. */
function libraryFolders(tree: string): string[] {
  const below = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name));
  const folders = ['usr/lib', 'lib'].map((folder) => join(tree, folder)).filter((folder) => existsSync(folder));
  const multiarch = folders.flatMap(below).filter((folder) => folder.includes('-linux-'));
  const own = multiarch.flatMap(below).filter((folder) => readdirSync(folder).some((name) => name.includes('.so')));
  return [...multiarch, ...folders, ...own];
}

/** Libraries that the loader would not find, by their sonames. A static program has none. */
function missingLibraries(tree: string, program: Program): string[] {
  const ldd = spawnSync('ldd', [programIn(tree, program)], {
    encoding: 'utf8',
    env: { ...process.env, LD_LIBRARY_PATH: libraryFolders(tree).join(':'), LC_ALL: 'C' },
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

function writeWrapper(toolsDir: string, program: Program, tree: string): void {
  const { name, settings } = program;
  const bin = join(toolsDir, 'bin');
  mkdirSync(bin, { recursive: true });
  const next = join(bin, `.${name}.${process.pid}`);
  const here = (path: string) => `"$here"/'${relative(bin, path)}'`; // the checkout may be moved
  const text = `#!/bin/sh
# Written by ./spillway: runs the program unpacked from the distribution's package, with the libraries beside it.
here=$(dirname -- "$(readlink -f -- "$0")")
LD_LIBRARY_PATH=${libraryFolders(tree).map(here).join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
${settings ? `export ${settings.variable}=${here(join(tree, settings.file))}\n` : ''}exec ${here(programIn(tree, program))} "$@"
`;
  writeFileSync(next, text);
  chmodSync(next, 0o755);
  renameSync(next, join(bin, name));
}

/** Debian asks `policy-rc.d` before it starts a service: 101 forbids it. One that the machine has already stays. */
async function installAsRoot({ say }: Pick<Context, 'say'>, program: Program): Promise<string | undefined> {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await runApt(['-q', 'update'], '/');
    const failed = await runApt(['-q', 'install', '-y', '--no-install-recommends', program.name], '/');
    if (failed !== undefined) say(`  ${failed}`);
    return failed;
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}
