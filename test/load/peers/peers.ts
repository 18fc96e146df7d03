import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { table } from '@spillway/cli/table';
import { freePort } from '@spillway/testing/free-port';
import { say } from '../../support/say.ts';
import { type ModelName, PEERS, type PeerName, peerName, versionOf } from './catalogue.ts';
import { checkPeer } from './check.ts';
import { DEFAULT_DIR, type Installed, installedState, installPeer } from './install.ts';
import { type PeerOptions, startPeer } from './start-peer.ts';

const NAMES = Object.keys(PEERS) as PeerName[];
const HELP = `Other servers for the same models behind the same path, POST /v2/models/<model>/infer, so that one load generator drives all.

  node test/load/peers/peers.ts list                    versions, settings, and what is installed or why not
  node test/load/peers/peers.ts install [name…]         an environment for each (all by default); PEERS_PYTHON names the Python 3.11
  node test/load/peers/peers.ts start <name> --port N   in the foreground; says when it is ready; SIGTERM or SIGINT ends it
  node test/load/peers/peers.ts check [name…]           starts each, compares distinct requests with plain ONNX Runtime

Names: ${NAMES.join(', ')}.

  --dir DIR         where the environments are (default .spillway/peers in the repository)
  --port N          for start
  --model NAME      mlp (default) or intent
  --cores N         workers or replicas of each (default: all cores, here ${availableParallelism()})
  --deadline-ms N   how long an answer is worth having, for the peers that can be told (default 5000)
  --help`;

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      dir: { type: 'string', default: DEFAULT_DIR },
      port: { type: 'string' },
      model: { type: 'string', default: 'mlp' },
      cores: { type: 'string' },
      'deadline-ms': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (option: 'port' | 'cores' | 'deadline-ms'): number | undefined => {
    const text = values[option];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value <= 0)
      throw new Error(`--${option}: expected a number above 0, got "${text}"`);
    return value;
  };
  if (values.model !== 'mlp' && values.model !== 'intent') {
    throw new Error(`--model: expected mlp or intent, got "${values.model}"`);
  }
  const [command = '', ...names] = positionals;
  const model: ModelName = values.model;
  const cores = number('cores');
  const deadlineMs = number('deadline-ms');
  return {
    help: values.help,
    command,
    names: names.map(peerName),
    port: number('port'),
    start: { dir: values.dir, model, ...(cores && { cores }), ...(deadlineMs && { deadlineMs }) },
  };
}

type Options = ReturnType<typeof readOptions>;

const stateText = (installed: Installed): string =>
  installed.state === 'failed' ? `can't be installed: ${installed.reason}` : installed.state;

function list({ start }: Options): void {
  const rows = NAMES.map((name) => {
    const { package: library, licence, settings } = PEERS[name];
    const cores = start.cores ?? availableParallelism();
    return [
      name,
      `${library} ${versionOf(name)}`,
      licence,
      settings(cores),
      stateText(installedState(start.dir, name)),
    ];
  });
  console.log(table(['name', 'version', 'licence', 'settings', 'here'], rows).join('\n'));
}

async function install({ names, start }: Options): Promise<void> {
  for (const name of names.length > 0 ? names : NAMES) {
    say(`installing ${name}`);
    const installed = await installPeer(start.dir, name);
    say(`${name}: ${stateText(installed)}`);
    if (installed.state !== 'installed') process.exitCode = 1;
  }
}

async function start({ names: [name, ...more], port, start: options }: Options): Promise<void> {
  if (name === undefined || more.length > 0) throw new Error('start: expected one name');
  if (port === undefined) throw new Error('start: expected --port N');
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
  const peer = await startPeer({ ...options, name, port, signal: stopping.signal }).catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
  });
  if (peer === undefined) return;
  console.log(`ready ${peer.url} (${PEERS[name].title}, ${peer.version}; ${peer.settings})`);
  await peer.ended;
  if (!stopping.signal.aborted) throw new Error(`${name} ended by itself`);
}

async function check({ names, start: options }: Options): Promise<void> {
  const wanted =
    names.length > 0 ? names : NAMES.filter((name) => installedState(options.dir, name).state === 'installed');
  for (const name of wanted) {
    const starting: PeerOptions = { ...options, name, port: await freePort() };
    await using peer = await startPeer(starting);
    const { requests, wrong } = await checkPeer(peer.url, options.model);
    console.log(`${PEERS[name].title} ${peer.version}: ${requests - wrong.length} of ${requests} answers right`);
    for (const what of wrong.slice(0, 5)) console.log(`  ${what}`);
    if (wrong.length > 0) process.exitCode = 1;
  }
}

const COMMANDS: Record<string, (options: Options) => void | Promise<void>> = { list, install, start, check };

try {
  const options = readOptions();
  const command = COMMANDS[options.command];
  if (options.help) console.log(HELP);
  else if (command === undefined) throw new Error(`expected list, install, start or check, got "${options.command}"`);
  else await command(options);
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}
