import type { Bus } from '@spillway/bus/bus';
import { type Lease, MODELS, type ModelRecord, REGISTRY } from '@spillway/contracts/buckets';
import { integerOption, parseCommand } from '../args.ts';
import { audit } from '../audit.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { Door } from '../door.ts';
import { knownModel } from '../levers/lever-options.ts';
import { onMeshBus, readBucket } from '../mesh-bus.ts';
import { DOOR_OPTIONS, doorOf } from '../mesh-client.ts';
import { checkCached, outcome, preheatCache } from '../preheat/cache.ts';
import { FeatureLink } from '../preheat/feature-link.ts';
import { preheatFeatures } from '../preheat/features.ts';
import { linesOf } from '../preheat/lines.ts';
import { preheatModel, stepsOf } from '../preheat/model.ts';
import { PoliteCaller } from '../preheat/polite.ts';
import { featuresTable, modelTable } from '../preheat/tables.ts';
import { Pace, Progress, realTime } from '../preheat/time.ts';

export const OPTIONS = {
  entities: { type: 'string' },
  requests: { type: 'string' },
  rows: { type: 'string' },
  seconds: { type: 'string' },
  rate: { type: 'string' },
  ...DOOR_OPTIONS,
} as const;

type Values = { [name in keyof typeof OPTIONS]?: string | undefined };
type Kind = 'features' | 'cache' | 'model';

const DOOR = Object.keys(DOOR_OPTIONS) as (keyof typeof DOOR_OPTIONS)[];
const BELONGS: Record<Kind, (keyof Values)[]> = {
  features: ['entities', 'rate'],
  cache: ['requests', 'rate', ...DOOR],
  model: ['rows', 'seconds', ...DOOR],
};
const MOST_ROWS = 4_096;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('preheat', argv, OPTIONS, {
    required: ['features, cache or model', 'a NAME'],
  });
  const [kind = '', name = ''] = positionals;
  if (!isKind(kind)) throw usageError(`preheat: expected features, cache or model, got "${kind}"`, 'preheat');
  const stranger = (Object.keys(values) as (keyof Values)[]).find((option) => !BELONGS[kind].includes(option));
  if (stranger !== undefined) throw usageError(`preheat ${kind}: --${stranger} does not belong to it`, 'preheat');
  const work = { features, cache, model }[kind];
  return onMeshBus(context, (bus) => work(context, bus, name, values));
}

const isKind = (text: string): text is Kind => Object.hasOwn(BELONGS, text);

const rateOf = (values: Values, fallback: number): number =>
  integerOption('preheat', 'rate', values.rate, { min: 1, max: 1_000_000, fallback });

const progressOf = (context: Context): Progress => new Progress(context.say, realTime);

async function features(context: Context, bus: Bus, view: string, values: Values): Promise<number> {
  const { entities: file } = values;
  if (file === undefined)
    throw usageError('preheat features: expected --entities FILE, or - for standard input', 'preheat');
  const pace = new Pace(rateOf(values, 5_000), realTime);
  const leases = [...(await readBucket<Lease>(bus, REGISTRY)).values()];
  const live = leases.filter(({ service, state }) => service === 'feature-service' && state === 'ready');
  if (live.length === 0) throw new CliError('no feature-service is ready', ['See: ./spillway status']);
  await using closing = new AsyncDisposableStack();
  const links = live.map(({ instance, address }) => closing.use(new FeatureLink(instance, address)));
  const by = { pace, progress: progressOf(context), time: realTime };
  await audit(bus, 'preheat', 'features', { view });
  const result = await preheatFeatures(view, linesOf(context, file), links, by);
  for (const line of featuresTable(result)) context.print(line);
  return 0;
}

/** The door and the key of a run, and what the catalogue says of its model. */
async function target(context: Context, bus: Bus, name: string, values: Values) {
  const record = knownModel(name, await readBucket<ModelRecord>(bus, MODELS));
  const { url, key, tls } = doorOf(context, values);
  return { record, door: new Door(url, key, { tls }) };
}

async function cache(context: Context, bus: Bus, name: string, values: Values): Promise<number> {
  const { requests: file } = values;
  if (file === undefined)
    throw usageError('preheat cache: expected --requests FILE.jsonl, or - for standard input', 'preheat');
  const pace = new Pace(rateOf(values, 100), realTime);
  const { record, door: opened } = await target(context, bus, name, values);
  using door = opened;
  checkCached(record);
  const model = await door.metadata(name);
  const by = { pace, caller: new PoliteCaller(realTime), progress: progressOf(context) };
  await audit(bus, 'preheat', 'cache', { model: name });
  const result = await preheatCache(linesOf(context, file), { door, model }, by);
  context.print(`${result.sent} requests: ${outcome(result)}`);
  for (const fault of result.faults) context.say(fault);
  return result.failed === 0 ? 0 : 1;
}

async function model(context: Context, bus: Bus, name: string, values: Values): Promise<number> {
  const { record, door: opened } = await target(context, bus, name, values);
  using door = opened;
  const rows = integerOption('preheat', 'rows', values.rows, {
    min: 1,
    max: Math.max(1, Math.min(record.maxBatchSize, MOST_ROWS)),
    fallback: Math.max(1, record.maxBatchSize),
  });
  const seconds = integerOption('preheat', 'seconds', values.seconds, { min: 1, max: 600, fallback: 20 });
  const leases = [...(await readBucket<Lease>(bus, REGISTRY)).values()];
  const workers = leases.filter(({ models }) => models?.some((served) => served.model === name)).map((l) => l.instance);
  if (workers.length === 0) throw new CliError(`no worker serves ${name} now`, ['See: ./spillway status']);
  const endMs = realTime.now() + seconds * 1_000;
  const metadata = await door.metadata(name);
  const run = {
    ...{ door, model: metadata, batches: record.maxBatchSize > 0, connections: workers.length },
    ...{ caller: new PoliteCaller(realTime, endMs), progress: progressOf(context), time: realTime },
  };
  await audit(bus, 'preheat', 'model', { model: name, rows });
  const result = await preheatModel(run, stepsOf(record, rows), endMs);
  for (const line of modelTable(result, workers)) context.print(line);
  if (result.fault !== undefined) throw new CliError(`${name}: ${result.fault}`);
  return result.steps.every(({ steady }) => steady) ? 0 : 1;
}
