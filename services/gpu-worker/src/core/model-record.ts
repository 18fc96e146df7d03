import type { ModelRecord } from '@spillway/contracts/buckets';
import type { ServedModel } from '@spillway/contracts/messages';
import type { Warmed } from './executor-messages.ts';
import { costRuleOf, type ModelDeclaration } from './model-declaration.ts';
import type { ServedGraph } from './served-graph.ts';

/** A version that an executor has loaded and warmed. */
export type ServedVersion = { version: string; graph: ServedGraph; provider: string; warmed: Warmed[] };

/** A model as this worker serves it; versions ascending, at least one. */
export type ServedEntry = {
  declaration: ModelDeclaration;
  versions: ServedVersion[];
  /** Executors that are to host it. */
  instances: number;
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
    versions: versions.map(({ version }) => version),
    platform: declaration.backend === 'simulated' ? 'simulated' : 'onnxruntime_onnx',
    backend: declaration.backend,
    maxBatchSize: graph.maxBatchSize,
    ...(declaration.maxBatchCost !== undefined && { maxBatchCost: declaration.maxBatchCost }),
    ...(declaration.maxQueueDelayMs > 0 && { maxQueueDelayMs: declaration.maxQueueDelayMs }),
    inputs: graph.inputs,
    outputs: graph.outputs,
    ...(declaration.features && { features: declaration.features }),
    ...(declaration.responseCache && { responseCache: declaration.responseCache }),
    defaultDeadlineMs: declaration.defaultDeadlineMs,
    maxDeadlineMs: declaration.maxDeadlineMs,
    runLimitMs,
    costRule: costRuleOf(declaration, graph.inputs),
    provider,
  };
}

/** The same model as a batcher needs it. */
export function toServedModel(entry: ServedEntry): ServedModel {
  const { graph, warmed } = newest(entry);
  return {
    model: entry.declaration.name,
    versions: entry.versions.map(({ version }) => version),
    maxBatchSize: graph.maxBatchSize,
    slots: entry.instances,
    runLimitMs: entry.runLimitMs,
    runMsOne: warmed[0]?.runMs ?? 0,
    runMsFull: warmed.at(-1)?.runMs ?? 0,
  };
}
