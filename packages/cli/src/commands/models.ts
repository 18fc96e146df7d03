import type { ModelMetadata, ModelSummary, SpillwayClient } from '@spillway/client';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { parseCommand } from '../args.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { type Answer, Door, errorText } from '../door.ts';
import { natsUrl, onMeshBus, readBucket } from '../mesh-bus.ts';
import { DOOR_OPTIONS, type DoorValues, doorOf, withClient } from '../mesh-client.ts';
import { table } from '../table.ts';

export const OPTIONS = { ...DOOR_OPTIONS, json: { type: 'boolean' } } as const;

type Tensors = ModelMetadata['inputs'];
/** What the catalogue says beyond the protocol's metadata. `labels`: of each version. */
type Declared = { variants: string[]; labels: Map<string, string[]> };
/** `declared` undefined: nobody could say. */
type Listed = ModelSummary & Partial<ModelMetadata> & { declared: Declared | undefined };

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('models', argv, OPTIONS, { optional: ['MODEL', 'MODEL'] });
  const [only, named] = positionals;
  if (named !== undefined) return control(context, values, only as string, named);
  const found = await withClient(context, values, (client) => describe(client, only));
  if (only !== undefined && found.length === 0) {
    throw new CliError(`there is no model "${only}"`, ['See: ./spillway models']);
  }
  const declared = await declarations(context, values);
  const models = found.map((model): Listed => ({ ...model, declared: declared?.get(model.name) }));
  if (values.json) context.print(JSON.stringify(models.map(asJson), null, 2));
  else if (models.length === 0) context.say('no models: what the workers serve is said by ./spillway up --models DIR');
  else for (const line of only === undefined ? listing(models) : models.flatMap(card)) context.print(line);
  return models.every((model) => model.ready || isUnloaded(model)) ? 0 : 1;
}

/** Loads or unloads a model, and says what the workers said. */
async function control(context: Context, values: DoorValues, action: string, model: string): Promise<number> {
  if (action !== 'load' && action !== 'unload') {
    throw usageError(`models: expected load or unload before "${model}", got "${action}"`, 'models');
  }
  const { url, key, tls } = doorOf(context, values);
  using door = new Door(url, key, { connections: 1, tls });
  const answer = await door.call('POST', `/v2/repository/models/${encodeURIComponent(model)}/${action}`);
  if (answer.status !== 200) throw new CliError(`${model}: ${errorText(answer)}`, adviceOf(answer));
  context.print(`${model} is ${action}ed (${(answer.tookMs / 1_000).toFixed(1)} s)`);
  return 0;
}

const adviceOf = ({ status }: Answer): string[] =>
  status === 501 ? ['Start the mesh with: ./spillway up --model-control-mode explicit'] : [];

/** A model that has gone since the index was read is listed without its tensors. */
async function describe(
  client: SpillwayClient,
  only: string | undefined,
): Promise<(ModelSummary & Partial<ModelMetadata>)[]> {
  const index = (await client.models()).filter(({ name }) => only === undefined || name === only);
  const described = index.map(async (summary) => {
    const metadata = await client.model(summary.name).catch(() => undefined);
    return { ...metadata, ...summary };
  });
  return (await Promise.all(described)) as (ModelSummary & Partial<ModelMetadata>)[];
}

/** From the catalogue on the mesh's bus; a door that was named may belong to another mesh. */
async function declarations(context: Context, { url }: DoorValues): Promise<Map<string, Declared> | undefined> {
  if (url !== undefined || natsUrl(context) === undefined) return undefined;
  try {
    const records = await onMeshBus(context, (bus) => readBucket<ModelRecord>(bus, MODELS));
    return new Map([...records].map(([model, record]) => [model, declaredBy(record)]));
  } catch (error) {
    if (error instanceof CliError) return undefined;
    throw error;
  }
}

export function declaredBy({ variants = [], versionLabels = {} }: Partial<ModelRecord>): Declared {
  const labels = Map.groupBy(Object.keys(versionLabels), (label) => versionLabels[label] as string);
  return { variants: variants.map(({ name }) => name), labels };
}

function asJson({ declared, ...model }: Listed) {
  const versions = model.versions.map((entry) => ({ ...entry, labels: declared?.labels.get(entry.version) ?? [] }));
  return { ...model, ...(declared && { versions, variants: declared.variants }) };
}

/** On command: that it is not ready is what somebody wanted. */
const isUnloaded = ({ versions }: ModelSummary): boolean => versions.every(({ reason }) => reason === 'unloaded');

const stateOf = (model: ModelSummary): string => {
  const { ready, versions } = model;
  const away = versions.filter((version) => !version.ready).map(({ version }) => version);
  if (!ready) return isUnloaded(model) ? 'unloaded' : 'not ready';
  return away.length === 0 ? 'ready' : `ready, without ${away.join(', ')}`;
};

/** `1, 2 (stable, canary)` */
export const versionsOf = ({ versions, declared }: Pick<ModelSummary, 'versions'> & Pick<Listed, 'declared'>): string =>
  versions
    .map(({ version }) => {
      const labels = declared?.labels.get(version);
      return labels === undefined ? version : `${version} (${labels.join(', ')})`;
    })
    .join(', ');
const tensorText = ({ name, datatype, shape }: Tensors[number]): string => `${name} ${datatype} [${shape.join(', ')}]`;
const tensorsText = (tensors: Tensors = []): string => tensors.map(tensorText).join('; ');
const variantsText = ({ declared }: Listed): string =>
  declared === undefined ? '?' : declared.variants.join(', ') || '-';

const listing = (models: Listed[]): string[] =>
  table(
    ['model', 'versions', 'state', 'variants', 'inputs', 'outputs'],
    models.map((model) => [
      model.name,
      versionsOf(model),
      stateOf(model),
      variantsText(model),
      tensorsText(model.inputs),
      tensorsText(model.outputs),
    ]),
  );

function card(model: Listed): string[] {
  const reasons = model.versions.filter(({ ready }) => !ready).map(({ version, reason }) => `${version}: ${reason}`);
  return [
    `${model.name}: ${stateOf(model)}`,
    ...reasons.map((reason) => `  version ${reason}`),
    `  versions  ${versionsOf(model)}`,
    `  variants  ${variantsText(model)}`,
    `  platform  ${model.platform ?? '?'}`,
    ...(model.inputs ?? []).map((tensor) => `  input     ${tensorText(tensor)}`),
    ...(model.outputs ?? []).map((tensor) => `  output    ${tensorText(tensor)}`),
  ];
}
