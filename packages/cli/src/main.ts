import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, type Context, dataDirOf, repositoryRoot } from './context.ts';

/** Each command is loaded when it is asked for: `status` does not wait for what `up` needs. */
const COMMANDS: Record<string, () => Promise<{ run: (context: Context, argv: string[]) => Promise<number> }>> = {
  up: () => import('./commands/up.ts'),
  down: () => import('./commands/down.ts'),
  status: () => import('./commands/status.ts'),
  logs: () => import('./commands/logs.ts'),
  demo: () => import('./commands/demo.ts'),
  test: () => import('./commands/test.ts'),
  infer: () => import('./commands/infer.ts'),
  models: () => import('./commands/models.ts'),
  jobs: () => import('./commands/jobs.ts'),
  trace: () => import('./commands/trace.ts'),
  keys: () => import('./commands/keys.ts'),
  dlq: () => import('./commands/dlq.ts'),
  brake: () => import('./commands/brake.ts'),
  degrade: () => import('./commands/degrade.ts'),
  preheat: () => import('./commands/preheat.ts'),
  release: () => import('./commands/release.ts'),
  load: () => import('./commands/load.ts'),
};

const helpText = (command: string): string =>
  readFileSync(join(repositoryRoot, 'packages', 'cli', 'help', `${command}.txt`), 'utf8');

function makeContext(): Context {
  const packageFile = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as { version: string };
  return {
    env: process.env,
    cwd: process.cwd(),
    root: repositoryRoot,
    toolsDir: join(repositoryRoot, '.spillway'),
    dataDir: dataDirOf(process.env, repositoryRoot),
    node: process.execPath,
    version: packageFile.version,
    print: (line) => process.stdout.write(`${line}\n`),
    say: (line) => process.stderr.write(`${line}\n`),
  };
}

async function main(argv: string[]): Promise<number> {
  const [name = 'help', ...rest] = argv;
  const context = makeContext();
  if (name === '--version' || name === '-v') {
    context.print(`spillway ${context.version}`);
    return 0;
  }
  if (['help', '--help', '-h'].includes(name)) {
    const about = rest[0] !== undefined && rest[0] in COMMANDS ? rest[0] : 'help';
    process.stdout.write(helpText(about));
    return 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) throw new CliError(`there is no command "${name}"`, ['See: ./spillway --help'], 2);
  if (isHelpAsked(rest)) {
    process.stdout.write(helpText(name));
    return 0;
  }
  return (await load()).run(context, rest);
}

/** `--help` anywhere before a `--`. */
const isHelpAsked = (argv: string[]): boolean => {
  const end = argv.indexOf('--');
  const options = end < 0 ? argv : argv.slice(0, end);
  return options.includes('--help') || options.includes('-h');
};

// A reader that has seen enough (`… | head`) and a terminal that was closed are no faults; who runs a mesh goes on without them.
const runsMesh = ['up', 'demo'].includes(process.argv[2] ?? '');
process.stdout.on('error', () => runsMesh || process.exit(0));
process.stderr.on('error', () => {});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CliError)) throw error; // a bug: with its stack
  process.stderr.write(`spillway: ${error.message}\n`);
  for (const line of error.advice) process.stderr.write(`  ${line}\n`);
  process.exitCode = error.exitCode;
}
