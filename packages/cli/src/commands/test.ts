import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseCommand } from '../args.ts';
import { CliError, type Context } from '../context.ts';
import { ensureServers } from '../install.ts';
import { table } from '../table.ts';
import { parseReport, type StepResult, type TestRun, totalsOf } from '../test-counts.ts';

export const OPTIONS = { quick: { type: 'boolean' } } as const;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values } = parseCommand('test', argv, OPTIONS);
  const startedMs = performance.now();
  // Tests start servers of their own; they look where these are.
  const servers = await ensureServers(context);
  const report = join(context.dataDir, `test-report.${process.pid}.jsonl`);
  mkdirSync(context.dataDir, { recursive: true });
  const env = testEnvironment(context, [servers.nats, servers.redis], report);
  const steps: StepResult[] = [];
  const step = async (name: string, command: string, args: string[]) => {
    context.say(`\n${name}`);
    rmSync(report, { force: true });
    const exitCode = await runStep(command, args, { cwd: context.root, env });
    steps.push({ name, exitCode, runs: readRuns(report) });
  };
  const turbo = join(context.root, 'node_modules', '.bin', 'turbo');
  // Each workspace's tests run side by side on all cores but one already, and some of them measure time.
  const concurrency = Math.max(1, Math.floor(availableParallelism() / 2));
  const turboOptions = [`--concurrency=${concurrency}`, '--continue', '--env-mode=loose', '--ui=stream'];
  try {
    await step('types and style', turbo, ['run', 'typecheck', 'lint', ...turboOptions, '--output-logs=errors-only']);
    // Never from turbo's cache: what is counted here has run here.
    await step('tests of packages and services', turbo, ['run', 'test', ...turboOptions, '--force']);
    if (!values.quick) await step('the whole mesh', 'npm', ['run', 'test:e2e', '--workspace', 'test']);
    return summarise(context, steps, startedMs);
  } finally {
    rmSync(report, { force: true });
  }
}

function testEnvironment(context: Context, programs: string[], report: string): NodeJS.ProcessEnv {
  const folders = [dirname(context.node), ...programs.map((path) => dirname(path)), context.env['PATH'] ?? ''];
  const reporter = pathToFileURL(join(context.root, 'packages', 'cli', 'src', 'test-reporter.ts')).href;
  const reporters = [
    '--test-reporter=spec --test-reporter-destination=stdout',
    `--test-reporter=${reporter} --test-reporter-destination=stdout`,
  ];
  return {
    ...context.env,
    PATH: folders.join(delimiter),
    NODE_OPTIONS: [context.env['NODE_OPTIONS'], ...reporters].filter(Boolean).join(' '),
    SPILLWAY_TEST_REPORT: report,
    TURBO_TELEMETRY_DISABLED: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
    DO_NOT_TRACK: '1',
  };
}

function runStep(command: string, args: string[], options: { cwd: string; env: NodeJS.ProcessEnv }): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: 'inherit' });
    // Ctrl-C in a terminal reaches the child by itself; what is left to do here is to report.
    const onInterrupt = () => {};
    const onTerminate = () => child.kill('SIGTERM');
    process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
    child.once('error', (error) => reject(new CliError(`cannot run ${command}: ${error.message}`)));
    child.once('exit', (code) => {
      process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
      resolve(code ?? 1);
    });
  });
}

const readRuns = (report: string): TestRun[] => (existsSync(report) ? parseReport(readFileSync(report, 'utf8')) : []);

/** The last line is what a machine reads: `N passed, N failed`. */
function summarise(context: Context, steps: StepResult[], startedMs: number): number {
  const inCi = context.env['CI'] !== undefined && context.env['CI'] !== '' && context.env['CI'] !== 'false';
  const { passed, failed, lines } = totalsOf(steps, !inCi);
  const rows = steps
    .flatMap(({ runs }) => runs)
    .map((run) => [run.workspace, run.passed, run.failed.length, run.skipped.length].map(String));
  context.print('');
  for (const line of table(['workspace', 'passed', 'failed', 'skipped'], rows)) context.print(line);
  for (const line of lines) context.print(line);
  context.print(`in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  context.print(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
