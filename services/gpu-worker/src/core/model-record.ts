import type { ModelRecord } from '@spillway/contracts/buckets';
import type { ServedModel } from '@spillway/contracts/messages';
import type { LoadedVariant, Warmed } from './executor-messages.ts';
import { costRuleOf, type ModelDeclaration } from './model-declaration.ts';
import type { ServedGraph } from './served-graph.ts';

/** A version that an executor has loaded and warmed. */
export type ServedVersion = {
  version: string;
  graph: ServedGraph;
  provider: string;
  warmed: Warmed[];
  /** Those of the declared ones that could be loaded. */
  variants: LoadedVariant[];
};

/** A model as this worker serves it; versions ascending, at least one. */
export type ServedEntry = {
  declaration: ModelDeclaration;
  versions: ServedVersion[];
  /** Executors that are to host it. */
  instances: number;
  /** Counts the loads on command; 0: it is served since the worker started. */
  generation: number;
  /** It leaves: only what was accepted before is run. */
  unloaded: boolean;
  /** Id of the command that loaded it; empty: none did. */
  loadedBy: string;
  runLimitMs: number;
};

/** What the newest version is: rollouts of versions with different tensors are the model owner's to avoid. */
const newest = (entry: ServedEntry): ServedVersion => entry.versions.at(-1) as ServedVersion;

/** The catalogue's entry of a model. */
export function toModelRecord(entry: ServedEntry): ModelRecord {
  const { declaration, versions, runLimitMs } = entry;
  const { graph, provider } = newest(entry);
  return {
    model: declaration.name,
    ...(entry.unloaded && { unloaded: true }),
    ...(entry.loadedBy !== '' && { loadedBy: entry.loadedBy }),
    versions: versions.map(({ version }) => version),
    platform: declaration.backend === 'simulated' ? 'simulated' : 'onnxruntime_onnx',
    backend: declaration.backend,
    maxBatchSize: graph.maxBatchSize,
    ...(declaration.maxBatchCost !== undefined && { maxBatchCost: declaration.maxBatchCost }),
    ...(declaration.maxQueueDelayMs > 0 && { maxQueueDelayMs: declaration.maxQueueDelayMs }),
    ...declaration.queueRules,
    ...variantRules(entry),
    inputs: graph.inputs,
    outputs: graph.outputs,
    ...labelsOf(declaration),
    ...(declaration.features && { features: declaration.features }),
    ...(declaration.responseCache && { responseCache: declaration.responseCache }),
    defaultDeadlineMs: declaration.defaultDeadlineMs,
    maxDeadlineMs: declaration.maxDeadlineMs,
    runLimitMs,
    costRule: costRuleOf(declaration, graph.inputs),
    provider,
  };
}

/** More of them would make the catalogue's entry large. */
const MAX_LABELS = 1_000;

/** What the classes are called that a postprocess puts labels on. */
function labelsOf({ postprocess }: ModelDeclaration): Pick<ModelRecord, 'labels'> {
  if (postprocess === undefined || postprocess.labels.length > MAX_LABELS) return {};
  return { labels: { [postprocess.scores]: postprocess.labels } };
}

/** What the catalogue says of variants: only those that an instance really has. */
function variantRules(entry: ServedEntry): Pick<ModelRecord, 'quality' | 'variants' | 'degradeTo' | 'degradeOptOut'> {
  const { quality, variants: declared, degrade } = entry.declaration;
  const loaded = new Set(newest(entry).variants.map(({ variant }) => variant));
  const served = declared.filter(({ name }) => loaded.has(name));
  const mayStandIn = served.filter((variant) => (variant.quality ?? 0) >= (degrade?.qualityFloor ?? 0));
  const degradeTo = (degrade?.to ?? []).filter((name) => mayStandIn.some((variant) => variant.name === name));
  return {
    ...(quality !== undefined && { quality }),
    ...(served.length > 0 && {
      variants: served.map(({ name, quality: own }) => ({ name, ...(own !== undefined && { quality: own }) })),
    }),
    ...(degrade && degradeTo.length > 0 && { degradeTo, degradeOptOut: degrade.optOut }),
  };
}

/** The same model as a batcher needs it. */
export function toServedModel(entry: ServedEntry): ServedModel {
  const { graph, warmed, variants } = newest(entry);
  return {
    model: entry.declaration.name,
    versions: entry.versions.map(({ version }) => version),
    maxBatchSize: graph.maxBatchSize,
    slots: entry.instances,
    runLimitMs: entry.runLimitMs,
    ...runTimes(warmed),
    variants: variants.map(({ variant, warmed: own }) => ({ variant, ...runTimes(own) })),
    generation: entry.generation,
  };
}

/** Of one row and of a full batch; 0: not known. */
const runTimes = (warmed: readonly Warmed[]) => ({
  runMsOne: warmed[0]?.runMs ?? 0,
  runMsFull: warmed.at(-1)?.runMs ?? 0,
});
