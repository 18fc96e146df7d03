import { integerOption, parseCommand } from '../args.ts';
import { CliError, type Context } from '../context.ts';
import { type DriveResult, drive, mean, quantile } from '../demo/drive.ts';
import { type ExpectedCase, readCases } from '../demo/expected.ts';
import { readDevKey } from '../dev-key.ts';
import { Door } from '../door.ts';
import { type Mesh, modelsIn, startMesh } from '../mesh.ts';
import { DEFAULT_PORT_BASE, HIGHEST_PORT_BASE } from '../ports.ts';
import { type MeshState, readState } from '../state-file.ts';
import { table } from '../table.ts';
import { draw, findTrace } from './trace.ts';

const OPTIONS = { 'port-base': { type: 'string' } } as const;
const ONE_EACH = { gateway: 1, cache: 1, 'feature-service': 1, batcher: 1, 'gpu-worker': 1 };

/** Enough to fill batches; more connections only show the client's own cost on a small machine. */
const TRAFFIC = { connections: 32, total: 3_000, forMs: 2_000 };
/** Rows of one request in the crowd: one that fills a batch alone says nothing about batching. */
const MOST_ROWS = 8;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values } = parseCommand('demo', argv, OPTIONS);
  const range = { min: 1, max: HIGHEST_PORT_BASE, fallback: DEFAULT_PORT_BASE };
  const portBase = integerOption('demo', 'port-base', values['port-base'], range);
  const running = readState(context.dataDir);
  if (running) {
    context.say(`using the mesh that runs already (pid ${running.pid}, ${running.endpoints.http}); it stays up`);
    return show(context, running, readDevKey(context.dataDir));
  }
  return withOwnMesh(context, portBase);
}

async function withOwnMesh(context: Context, portBase: number): Promise<number> {
  const stop = new AbortController();
  let mesh: Mesh | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) {
        mesh?.kill();
        process.exit(130);
      }
      context.say(`${signal}: draining (once more ends at once)`);
      stop.abort();
    });
  }
  context.say('starting the mesh');
  mesh = await startMesh(context, { portBase, scale: ONE_EACH, models: `${context.root}/models` });
  try {
    await mesh.untilReady(stop.signal);
    const interrupted = new Promise<number>((resolve) => stop.signal.addEventListener('abort', () => resolve(130)));
    if (stop.signal.aborted) return 130;
    return await Promise.race([show(context, mesh.state(), mesh.key), interrupted]);
  } finally {
    context.say('ending the mesh');
    await mesh.drain();
  }
}

/** Sends the traffic and prints what came back. @returns 0 if every answer was right. */
async function show(context: Context, state: MeshState, key: string | undefined): Promise<number> {
  const models = modelsIn(state.models)
    .map((name) => ({ name, cases: readCases(state.models, name) }))
    .filter(({ cases }) => cases.length > 0);
  if (models.length === 0) throw new CliError(`no model in ${state.models} has an expected.json to compare with`);
  using door = new Door(state.endpoints.http, key, TRAFFIC.connections);

  context.say(`every committed case of ${models.length} models, one after another`);
  const single: DriveResult[] = [];
  for (const { name, cases } of models) {
    single.push(await drive(door, name, cases, { connections: 1, total: cases.length, forMs: 120_000 }));
  }
  context.say(`the same over ${TRAFFIC.connections} connections, up to ${TRAFFIC.forMs / 1000} s for each model`);
  const crowd: DriveResult[] = [];
  for (const { name, cases } of models) crowd.push(await drive(door, name, cases.filter(isSmall), TRAFFIC));

  context.print('');
  context.print('Answers against the committed ones of plain ONNX Runtime (within 1e-5, texts equal)');
  for (const line of table(['model', 'cases', 'right', 'largest difference', 'p50'], single.map(singleRow))) {
    context.print(`  ${line}`);
  }
  context.print('');
  context.print(`Concurrent traffic over HTTP (${TRAFFIC.connections} connections, client on the same machine)`);
  const head = ['model', 'sent', 'right', 'requests/s', 'p50', 'p99', 'mean batch', 'cache hits', 'degraded'];
  for (const line of table(head, crowd.map(crowdRow))) context.print(`  ${line}`);
  await showTrace(context, single);

  const all = [...single, ...crowd];
  for (const { model, faults } of all) for (const fault of faults) context.say(`wrong: ${model}: ${fault}`);
  const [sent, right] = [sum(all, 'sent'), sum(all, 'right')];
  // Under the crowd a small machine may be late with features; what the mesh marked as degraded is no wrong answer. One by one
  // there is no excuse.
  const degraded = sum(crowd, 'degraded');
  context.print('');
  context.print(`${right} of ${sent} answers right${degraded > 0 ? `, ${degraded} marked as degraded` : ''}`);
  return right + degraded === sent ? 0 : 1;
}

const isSmall = ({ inputs }: ExpectedCase): boolean =>
  Object.values(inputs).every(({ shape: [rows = 1] }) => rows <= MOST_ROWS);

const sum = (results: DriveResult[], of: 'sent' | 'right' | 'degraded'): number =>
  results.reduce((total, result) => total + result[of], 0);

const singleRow = (result: DriveResult): string[] => [
  result.model,
  String(result.sent),
  String(result.right),
  result.largestDifference === 0 ? '0' : result.largestDifference.toExponential(0),
  `${quantile(result.tookMs, 0.5).toFixed(1)} ms`,
];

const crowdRow = (result: DriveResult): string[] => [
  result.model,
  String(result.sent),
  String(result.right),
  (result.sent / (result.elapsedMs / 1000)).toFixed(0),
  `${quantile(result.tookMs, 0.5).toFixed(1)} ms`,
  `${quantile(result.tookMs, 0.99).toFixed(1)} ms`,
  result.batchSizes.length === 0 ? '-' : mean(result.batchSizes).toFixed(1),
  String(result.cacheHits),
  String(result.degraded),
];

/** The request with the most to see: the model that is joined from features, if it was traced. */
async function showTrace(context: Context, results: DriveResult[]): Promise<void> {
  const traced = results.filter(({ traceId }) => traceId !== undefined);
  const chosen = traced.find(({ model }) => model === 'credit-risk') ?? traced[0];
  if (chosen?.traceId === undefined) return context.say('no request was traced');
  try {
    const trace = await findTrace(context.dataDir, chosen.traceId);
    context.print('');
    context.print(`One ${chosen.model} request (./spillway trace ${chosen.traceId})`);
    context.print(draw(trace));
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    context.say(error.message);
  }
}
