import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../../src/context.ts';

/** What a bare Debian has and the launcher calls. */
const TOOLS = [
  'sh',
  'dirname',
  'readlink',
  'sed',
  'cat',
  'sha256sum',
  'cut',
  'id',
  'mkdir',
  'flock',
  'tail',
  'sleep',
  'uname',
  'rm',
];
const LOCK = JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } });

/** A checkout with the real launcher, one dependency and a main.ts that shows what it was given; on a PATH of its own. */
function checkout() {
  const root = mkdtempSync(join(tmpdir(), 'spillway launcher-')); // a space, as people have them
  const put = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode });
  };
  mkdirSync(join(root, 'tools'));
  for (const tool of TOOLS) symlinkSync(findTool(tool), join(root, 'tools', tool));
  put('package.json', '{\n  "name": "spillway",\n  "version": "1.2.3",\n  "type": "module"\n}\n');
  put('package-lock.json', LOCK);
  put('packages/cli/help/help.txt', 'the help\n');
  put(
    'packages/cli/src/main.ts',
    'console.log(JSON.stringify([process.argv.slice(2), process.cwd(), process.execPath]));',
  );
  for (const path of ['spillway', 'packages/cli/src/check-dependencies.ts']) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(join(repositoryRoot, path), join(root, path));
  }
  const run = (args: string[], cwd = root) =>
    new Promise<{ code: number; out: string; err: string }>((resolve) => {
      const env = { PATH: join(root, 'tools'), HOME: root };
      execFile(join(root, 'spillway'), args, { cwd, env }, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
    });
  return {
    ...{ root, put, run },
    /** The Node of this test, as if it had been installed into the checkout. */
    withOwnNode: () => {
      mkdirSync(join(root, '.spillway/node/bin'), { recursive: true });
      symlinkSync(process.execPath, join(root, '.spillway/node/bin/node'));
    },
    /** An npm whose `ci` takes a moment, and ends as told. */
    withNpm: (ending: string) =>
      put('tools/npm', `#!/bin/sh\necho "npm $*" >>'${root}/calls'\nsleep 0.2\n${ending}\n`, 0o755),
    calls: () => readFileSync(join(root, 'calls'), 'utf8').trim().split('\n'),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

const findTool = (name: string): string => {
  const found = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].map((folder) => join(folder, name)).find(existsSync);
  assert.ok(found, `${name} is missing on this machine: apt-get install coreutils util-linux`);
  return found;
};

const INSTALLED = `mkdir -p node_modules/a && echo '{}' >node_modules/a/package.json
echo '${LOCK}' >node_modules/.package-lock.json`;

test('--help and --version need neither Node nor dependencies', async () => {
  using here = checkout();
  assert.deepEqual(await here.run(['--version']), { code: 0, out: 'spillway 1.2.3\n', err: '' });
  assert.deepEqual(await here.run(['--help']), { code: 0, out: 'the help\n', err: '' });
  assert.deepEqual(await here.run([]), { code: 0, out: 'the help\n', err: '' });
});

test('an older Node on the PATH is passed over for the one in .spillway', async () => {
  using here = checkout();
  here.withOwnNode();
  here.put('tools/node', '#!/bin/sh\necho v24.14.0\n', 0o755);
  here.withNpm(INSTALLED);
  const { code, out } = await here.run(['status']);
  assert.equal(code, 0);
  assert.equal(JSON.parse(out)[2], process.execPath);
});

test("arguments and the user's folder arrive as they were, also after an installation", async () => {
  using here = checkout();
  here.withOwnNode();
  here.withNpm(INSTALLED);
  const args = ['infer', 'a b', '*', '', "it's"];
  for (const turn of ['with an installation', 'without']) {
    const { out, err } = await here.run(args, tmpdir());
    assert.deepEqual(JSON.parse(out).slice(0, 2), [args, tmpdir()], turn);
    assert.equal(err === '', turn === 'without', 'it speaks only when it does something');
  }
  assert.equal(here.calls().length, 1);
  assert.match(here.calls()[0] ?? '', /^npm ci --ignore-scripts /);
});

test('what somebody else installed from the same lock file is taken as it is', async () => {
  using here = checkout();
  here.withOwnNode();
  here.put('node_modules/a/package.json', '{}');
  here.put('node_modules/.package-lock.json', LOCK);
  const { code, err } = await here.run(['status']);
  assert.deepEqual([code, err], [0, '']);
});

test('an installation that was cut short, and a changed lock file, are installed again', async () => {
  using here = checkout();
  here.withOwnNode();
  here.put('node_modules/a/package.json', '{}'); // no hidden lock file: npm did not get to its end
  here.withNpm(INSTALLED);
  assert.equal((await here.run(['status'])).code, 0);
  assert.equal(here.calls().length, 1);
  const changed = LOCK.replace('1.0.0', '1.0.1');
  here.put('package-lock.json', changed);
  here.withNpm(INSTALLED.replace(LOCK, changed));
  assert.equal((await here.run(['status'])).code, 0);
  assert.equal(here.calls().length, 2);
});

test('of several runs at once one installs, and all go on', async () => {
  using here = checkout();
  here.withOwnNode();
  here.withNpm(INSTALLED);
  const runs = await Promise.all([1, 2, 3].map((n) => here.run([`run ${n}`])));
  assert.deepEqual(
    runs.map(({ code, out }) => [code, JSON.parse(out)[0]]),
    [1, 2, 3].map((n) => [0, [`run ${n}`]]),
  );
  assert.equal(here.calls().length, 1);
});

test('a failed npm ci shows the end of its log and what to look at, and does not count as done', async () => {
  using here = checkout();
  here.withOwnNode();
  here.withNpm('echo "npm error ENOTFOUND registry"; exit 1');
  const { code, err } = await here.run(['status']);
  assert.equal(code, 1);
  assert.match(err, /npm error ENOTFOUND registry/);
  assert.match(err, /npm ci failed .*\n.*registry \(npm config get registry\)/);
  await here.run(['status']);
  assert.equal(here.calls().length, 2);
});

test('without Node and npm it says what to type', async () => {
  using here = checkout();
  const { code, err } = await here.run(['status']);
  assert.equal(code, 1);
  assert.match(err, /npm was not found; it is needed to install Node 24/);
  assert.match(err, /apt-get install -y nodejs npm/);
});
