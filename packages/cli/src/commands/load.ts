import { readFileSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { ConfigError } from '@spillway/config/config-error';
import { measureCapacity } from '@spillway/load/capacity';
import { reportPage } from '@spillway/load/html/page';
import type { Kind } from '@spillway/load/kind';
import { LoadError, TargetError } from '@spillway/load/load-error';
import { type MixFile, readMixFile } from '@spillway/load/mix-file';
import { mixOfTexts, readProtocol } from '@spillway/load/mix-text';
import type { Targets } from '@spillway/load/open-transports';
import { planOfTexts } from '@spillway/load/plan-text';
import { progressLine } from '@spillway/load/progress';
import { readNumber } from '@spillway/load/quantity';
import type { LoadReport } from '@spillway/load/report';
import { reportText } from '@spillway/load/report-text';
import { runLoad } from '@spillway/load/run-load';
import type { LoadPlan } from '@spillway/load/schedule';
import { parseTrace } from '@spillway/load/trace-csv';
import { integerOption, parseCommand } from '../args.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { readDevKey } from '../dev-key.ts';
import { type MeshState, readState } from '../state-file.ts';
import { readTls, TLS_OPTIONS } from '../tls-files.ts';

export const OPTIONS = {
  rate: { type: 'string' },
  for: { type: 'string' },
  profile: { type: 'string' },
  process: { type: 'string' },
  capacity: { type: 'string' },
  trace: { type: 'string' },
  window: { type: 'string' },
  speed: { type: 'string' },
  amount: { type: 'string' },
  peak: { type: 'string' },
  mix: { type: 'string' },
  key: { type: 'string', multiple: true },
  'deadline-ms': { type: 'string' },
  retry: { type: 'string' },
  cancel: { type: 'string' },
  accept: { type: 'string' },
  rows: { type: 'string' },
  texts: { type: 'string' },
  'mix-file': { type: 'string' },
  protocol: { type: 'string' },
  tenant: { type: 'string' },
  url: { type: 'string' },
  path: { type: 'string' },
  grpc: { type: 'string' },
  nats: { type: 'string' },
  ...TLS_OPTIONS,
  plain: { type: 'boolean' },
  connections: { type: 'string' },
  channels: { type: 'string' },
  'patience-ms': { type: 'string' },
  seed: { type: 'string' },
  metrics: { type: 'string' },
  gauge: { type: 'string', multiple: true },
  title: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
} as const;

const MOST_REPORTS = 8;
const VOID = 3;
const MEASURE_DEADLINE_MS = 5_000; // long enough for 256 requests in flight: nothing is to be refused

type Values = ReturnType<typeof parse>['values'];

const parse = (argv: string[]) =>
  parseCommand('load', argv, OPTIONS, { optional: ['MODEL', ...Array<string>(MOST_REPORTS).fill('FILE')] });

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parse(argv);
  const [model = 'simulated', ...files] = positionals;
  try {
    if (model === 'report') return drawReports(context, files, values);
    if (files.length > 0) throw usageError(`load: "${files[0]}" is one word too many`, 'load');
    return await load(context, model, values);
  } catch (error) {
    if (error instanceof LoadError) throw usageError(`load: ${error.message}`, 'load');
    if (error instanceof TargetError) throw new CliError(error.message);
    if (error instanceof ConfigError) throw new CliError(error.message, ['See: ./spillway load --help'], 2);
    throw error;
  }
}

async function load(context: Context, model: string, values: Values): Promise<number> {
  const mesh = values.url === undefined ? readState(context.dataDir) : undefined;
  const targets = targetsOf(context, values, mesh);
  if (targets.http === undefined)
    throw new CliError('no mesh is running', ['Start one: ./spillway up   Or name a server: --url URL']);
  const mix = readMix(context, model, values, mesh);
  const plain = values.plain === true;
  const capacity = await readCapacity(context, values.capacity, mix, targets, plain);
  const plan = readPlan(context, values, capacity);
  const integer = (name: 'connections' | 'channels' | 'patience-ms' | 'seed', min: number, fallback: number): number =>
    integerOption('load', name, values[name], { min, max: 999_999_999, fallback });
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const report = await runLoad({
    title: values.title ?? `${model} at ${targets.http}`,
    kinds: mix.kinds,
    inputs: mix.inputs,
    plan,
    targets,
    plain,
    ...(capacity !== undefined && { capacity }),
    seed: integer('seed', 0, 1),
    maxConnections: integer('connections', 1, 8_192),
    channels: integer('channels', 1, 1),
    patienceMs: integer('patience-ms', 0, 250),
    metrics: { urls: metricsUrls(values.metrics, mesh), gauges: values.gauge ?? [] },
    onProgress: (progress) => context.say(progressLine(progress)),
    signal: stop.signal,
  });
  process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  for (const line of reportText(report)) context.print(line);
  if (values.json !== undefined) write(context, values.json, JSON.stringify(report));
  if (values.html !== undefined) write(context, values.html, reportPage([report]));
  if (report.void.length > 0) return VOID;
  return report.phases.some(({ all }) => all.wrong > 0) ? 1 : 0;
}

function targetsOf(context: Context, values: Values, mesh: MeshState | undefined): Targets {
  const { url, path, grpc, nats } = values;
  const http = url ?? mesh?.endpoints.http;
  const grpcAddress = grpc ?? mesh?.endpoints.grpc;
  const natsUrl = nats ?? mesh?.endpoints.nats;
  const tls = readTls(context, values, [http ?? '', grpcAddress ?? '']);
  return {
    ...(http !== undefined && { http }),
    ...(path !== undefined && { path }),
    ...(grpcAddress !== undefined && { grpc: grpcAddress }),
    ...(natsUrl !== undefined && { nats: natsUrl }),
    ...(tls !== undefined && { tls }),
  };
}

function readMix(context: Context, model: string, values: Values, mesh: MeshState | undefined): MixFile {
  const devKey = mesh && values.plain !== true ? readDevKey(context.dataDir) : undefined;
  const keys = [...(devKey === undefined ? [] : [devKey]), ...(values.key ?? [])];
  const protocol = readProtocol(values.protocol ?? 'http');
  const defaults = { model, protocol, tenant: values.tenant ?? 'anonymous' };
  const { mix, retry, cancel, accept, rows, texts } = values;
  const flags = { mix, deadlineMs: values['deadline-ms'], retry, cancel, accept, rows };
  const lines = texts === undefined ? undefined : read(context, texts, '--texts').split('\n').filter(Boolean);
  const inputs = lines === undefined ? {} : { texts: lines };
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const file = values['mix-file'];
  if (file === undefined) return { kinds: mixOfTexts({ ...given, keys }, defaults), inputs };
  const [foreign] = Object.keys(given);
  if (foreign !== undefined) throw new LoadError(`--${foreign}: this stands in the mix file`);
  const named = keys.map((key): [string, string] => {
    const equals = key.indexOf('=');
    return [key.slice(0, Math.max(0, equals)), key.slice(equals + 1)];
  });
  const fromFile = readMixFile(resolve(context.cwd, file), defaults, new Map(named));
  return { kinds: fromFile.kinds, inputs: { ...fromFile.inputs, ...inputs } };
}

async function readCapacity(
  context: Context,
  text: string | undefined,
  { kinds, inputs }: MixFile,
  targets: Targets,
  plain: boolean,
): Promise<number | undefined> {
  if (text === undefined) return undefined;
  if (text !== 'measure') return readNumber(text, '--capacity', { min: 0.001, max: 1e7 });
  context.say('measuring the capacity: 256 requests in flight for 7 s');
  const heaviest = kinds.reduce((a, b) => (b.weight > a.weight ? b : a)) as Kind;
  const kind: Kind = { ...heaviest, deadlineMs: [{ value: MEASURE_DEADLINE_MS, weight: 1 }] };
  const options = { kind, targets, inputs, plain, inFlight: 256, warmUpMs: 2_000, measureMs: 5_000 };
  const { perSecond } = await measureCapacity(options);
  context.say(`capacity: ${perSecond.toFixed(1)} requests/s`);
  return perSecond;
}

function readPlan(context: Context, values: Values, capacity: number | undefined): LoadPlan {
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value === 'string'));
  if (values.trace === undefined) return planOfTexts(given, capacity);
  const trace = parseTrace(read(context, values.trace, '--trace'));
  return planOfTexts(given, capacity, { name: basename(values.trace), trace });
}

/** Those that were named, or every service of the mesh that runs here. */
function metricsUrls(text: string | undefined, mesh: MeshState | undefined): string[] {
  if (text !== undefined) return text.split(',').filter((url) => url !== '');
  const ports = mesh?.services.flatMap((service) => service.ports['health'] ?? []) ?? [];
  return ports.map((port) => `http://127.0.0.1:${port}/metrics`);
}

function drawReports(context: Context, files: readonly string[], values: Values): number {
  const foreign = Object.keys(values).find((name) => name !== 'html');
  if (foreign !== undefined) throw usageError(`load report: --${foreign} does not belong here`, 'load');
  if (files.length === 0) throw usageError('load report: expected the JSON files of one or more runs', 'load');
  const reports = files.map((file) => readReport(context, file));
  if (values.html !== undefined) write(context, values.html, reportPage(reports));
  else for (const report of reports) for (const line of [...reportText(report), '']) context.print(line);
  return reports.some((report) => report.void.length > 0) ? VOID : 0;
}

function readReport(context: Context, file: string): LoadReport {
  try {
    const report = JSON.parse(read(context, file, 'load report')) as Partial<LoadReport>;
    if (report.format === 1) return report as LoadReport;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CliError(`${file}: expected what ./spillway load --json wrote`, [], 2);
}

function read(context: Context, file: string, what: string): string {
  try {
    return readFileSync(resolve(context.cwd, file), 'utf8');
  } catch (error) {
    throw new CliError(`${what}: cannot read ${file}: ${(error as Error).message}`, [], 2);
  }
}

function write(context: Context, file: string, text: string): void {
  try {
    writeFileSync(resolve(context.cwd, file), text);
  } catch (error) {
    throw new CliError(`cannot write ${file}: ${(error as Error).message}`);
  }
  context.say(`wrote ${file}`);
}
