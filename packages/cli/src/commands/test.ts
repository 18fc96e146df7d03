import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseCommand } from '../args.ts';
import { ensureBrowser, type NoBrowser } from '../browser.ts';
import { CliError, type Context } from '../context.ts';
import { ensureServers } from '../install.ts';
import { table } from '../table.ts';
import { countsOf, parseReport, type StepResult, slowestFiles, type TestRun, totalsOf } from '../test-counts.ts';

export const OPTIONS = { quick: { type: 'boolean' } } as const;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values } = parseCommand('test', argv, OPTIONS);
  const startedMs = performance.now();
  // Tests start servers of their own; they look where these are.
  const servers = await ensureServers(context);
  const browser = values.quick ? undefined : await ensureBrowser(context);
  const report = join(context.dataDir, `test-report.${process.pid}.jsonl`);
  mkdirSync(context.dataDir, { recursive: true });
  const env = testEnvironment(context, [servers.nats, servers.redis], report);
  const steps: StepResult[] = [];
  const step = async (name: string, command: string, args: string[], more: NodeJS.ProcessEnv = {}) => {
    context.say(`\n${name}`);
    rmSync(report, { force: true });
    const exitCode = await runStep(command, args, { cwd: context.root, env: { ...env, ...more } });
    steps.push({ name, exitCode, runs: readRuns(report) });
  };
  const bin = (name: string): string => join(context.root, 'node_modules', '.bin', name);
  // A workspace's tests run on all cores but one already; two of them at once fill what one leaves idle while it waits.
  const concurrency = Math.max(2, Math.floor(availableParallelism() / 2));
  const turboOptions = [`--concurrency=${concurrency}`, '--continue', '--env-mode=loose', '--ui=stream'];
  const ofWholeMesh = (script: string): string[] => ['run', script, '--workspace', 'test'];
  try {
    // Once for all workspaces: each by itself would check again what it imports.
    await step('types', bin('tsc'), ['--noEmit']);
    await step('style', bin('biome'), ['check', '.']);
    // Never from turbo's cache: what is counted here has run here.
    await step('tests of packages and services', bin('turbo'), ['run', 'test', ...turboOptions, '--force']);
    if (browser !== undefined) {
      await step('the whole mesh', 'npm', ofWholeMesh('test:e2e'));
      await step('the whole mesh under faults', 'npm', ofWholeMesh('test:faults'));
      if ('path' in browser) await step(PAGES, 'npm', ofWholeMesh('test:browser'), { CHROMIUM: browser.path });
      else steps.push(withoutBrowser(context, browser));
    }
    return summarise(context, steps, startedMs);
  } finally {
    rmSync(report, { force: true });
  }
}

const PAGES = 'pages in a browser';

/** Says what to do about it, and counts as one skipped test. */
function withoutBrowser({ say }: Context, { why, advice, excused }: NoBrowser): StepResult {
  for (const line of ['', `${PAGES}: ${why}`, ...advice]) say(line);
  const skipped = [{ name: PAGES, file: 'test/browser', reason: why, excused }];
  return {
    name: PAGES,
    exitCode: 0,
    runs: [{ workspace: '@spillway/test', passed: 0, failed: [], skipped, files: [] }],
  };
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

const SLOWEST_SHOWN = 10;

/** The last line is what a machine reads: `N passed, N failed`. */
function summarise(context: Context, steps: StepResult[], startedMs: number): number {
  const inCi = context.env['CI'] !== undefined && context.env['CI'] !== '' && context.env['CI'] !== 'false';
  const { passed, failed, lines } = totalsOf(steps, !inCi);
  const rows = countsOf(steps).map((row) => row.map(String));
  context.print('');
  for (const line of table(['workspace', 'passed', 'failed', 'skipped'], rows)) context.print(line);
  context.print('');
  const slowest = slowestFiles(steps, SLOWEST_SHOWN).map(({ file, ms }) => [
    (ms / 1000).toFixed(1),
    relative(context.root, file),
  ]);
  for (const line of table(['s', 'slowest files'], slowest)) context.print(line);
  for (const line of lines) context.print(line);
  context.print(`in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  context.print(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
