import { draw, findTrace } from '../commands/trace.ts';
import { CliError, type Context } from '../context.ts';
import { Door } from '../door.ts';
import { modelsIn } from '../mesh.ts';
import type { MeshState } from '../state-file.ts';
import { table } from '../table.ts';
import { type DriveResult, drive, mean, quantile } from './drive.ts';
import { openEventSender } from './event-sender.ts';
import { type ExpectedCase, readCases } from './expected.ts';
import { FLOODED, showFlood } from './flood.ts';
import { openGrpcSender } from './grpc-sender.ts';
import { type Sender, type SentResult, sendAll } from './sender.ts';

/** Enough to fill batches; more connections only show the client's own cost on a small machine. */
const TRAFFIC = { connections: 32, total: 3_000, forMs: 2_000 };
/** Rows of one request in the crowd: one that fills a batch alone says nothing about batching. */
const MOST_ROWS = 8;

/** Tenant of the development key. */
const TENANT = 'dev';
/** Jobs are durable and take what synchronous requests leave: a few of each model show it. */
const EVENTS_OF_EACH = 4;

type Driven = { single: DriveResult[]; crowd: DriveResult[] };
type Work = { model: string; cases: ExpectedCase[] }[];

/** Sends the traffic and prints what came back. @returns 0 if every answer was right. */
export async function show(context: Context, state: MeshState, key: string | undefined): Promise<number> {
  const { endpoints, models } = state;
  const work = modelsIn(models)
    .map((model) => ({ model, cases: readCases(models, model) }))
    .filter(({ cases }) => cases.length > 0);
  if (work.length === 0) throw new CliError(`no model in ${models} has an expected.json to compare with`);
  using door = new Door(endpoints.http, key, { connections: TRAFFIC.connections });

  context.say(`HTTP: every committed case of ${work.length} models, one after another`);
  const single: DriveResult[] = [];
  for (const { model, cases } of work) {
    single.push(await drive(door, model, cases, { connections: 1, total: cases.length, forMs: 120_000 }));
  }
  context.say('gRPC: the same');
  const grpc = await through(openGrpcSender(endpoints.grpc, key), work);
  context.say(`NATS: ${EVENTS_OF_EACH} events for each model, each becomes a job whose result is stored`);
  const few = work.map(({ model, cases }) => ({ model, cases: cases.slice(0, EVENTS_OF_EACH) }));
  const events = await through(await openEventSender(context.env['NATS_URL'] || endpoints.nats, TENANT), few);
  context.say(`HTTP: over ${TRAFFIC.connections} connections, up to ${TRAFFIC.forMs / 1000} s for each model`);
  const crowd: DriveResult[] = [];
  for (const { model, cases } of work) crowd.push(await drive(door, model, cases.filter(isSmall), TRAFFIC));

  print(context, single, { gRPC: grpc, 'NATS events': events }, crowd);
  await showTrace(context, single);
  const wrongInFlood = work.some(({ model }) => model === FLOODED) ? await showFlood(context, state, key) : 0;
  if (wrongInFlood > 0) context.say(`wrong: ${wrongInFlood} answers during the flood`);
  const code = judge(context, { single, crowd }, [grpc, events]);
  return wrongInFlood > 0 ? 1 : code;
}

async function through(sender: Sender, work: Work): Promise<SentResult> {
  try {
    return await sendAll(sender, work);
  } finally {
    await sender.close();
  }
}

function print(context: Context, single: DriveResult[], doors: Record<string, SentResult>, crowd: DriveResult[]): void {
  const section = (title: string, head: string[], rows: string[][]) => {
    context.print(`\n${title}`);
    for (const line of table(head, rows)) context.print(`  ${line}`);
  };
  section(
    'Answers over HTTP against the committed ones of plain ONNX Runtime (within 1e-5, texts equal)',
    ['model', 'cases', 'right', 'largest difference', 'p50'],
    single.map(singleRow),
  );
  section('The same through the other doors', ['door', 'sent', 'right', 'p50'], Object.entries(doors).map(doorRow));
  section(
    `Concurrent traffic over HTTP (${TRAFFIC.connections} connections, client on the same machine)`,
    ['model', 'sent', 'right', 'requests/s', 'p50', 'p99', 'mean batch', 'cache hits', 'degraded'],
    crowd.map(crowdRow),
  );
}

/**
 * Under the crowd a small machine may be late with features: what the mesh itself marked as degraded is no wrong answer there.
 * One by one there is no excuse.
 */
function judge(context: Context, { single, crowd }: Driven, sent: SentResult[]): number {
  const driven = [...single, ...crowd];
  for (const { model, faults } of driven) for (const fault of faults) context.say(`wrong: ${model}: ${fault}`);
  for (const fault of sent.flatMap(({ faults }) => faults)) context.say(`wrong: ${fault}`);
  const all = [...driven, ...sent];
  const total = all.reduce((sum, result) => sum + result.sent, 0);
  const right = all.reduce((sum, result) => sum + result.right, 0);
  const marked = crowd.reduce((sum, { degraded }) => sum + degraded, 0);
  context.print(`\n${right} of ${total} answers right${marked > 0 ? `, ${marked} marked as degraded` : ''}`);
  return right + marked === total ? 0 : 1;
}

const isSmall = ({ inputs }: ExpectedCase): boolean =>
  Object.values(inputs).every(({ shape: [rows = 1] }) => rows <= MOST_ROWS);

const doorRow = ([door, result]: [string, SentResult]): string[] => [
  door,
  String(result.sent),
  String(result.right),
  `${quantile(result.tookMs, 0.5).toFixed(1)} ms`,
];

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
