import type { ModelRecord, TensorSpec } from '@spillway/contracts/buckets';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { ModelCatalogue } from './model-catalogue.ts';

/** Metadata of the Open Inference Protocol, the same behind HTTP and gRPC. */

export const SERVER_NAME = 'spillway';
export const SERVER_VERSION = '0.1.0';
/** Only what is served, in Triton's names. */
export const EXTENSIONS = [
  'binary_tensor_data',
  'classification',
  'parameters',
  'schedule_policy',
  'statistics',
  'model_repository',
  'model_configuration',
];

export const serverMetadata = () => ({ name: SERVER_NAME, version: SERVER_VERSION, extensions: EXTENSIONS });

export type TensorMetadata = { name: string; datatype: string; shape: number[] };
export type ModelMetadata = {
  name: string;
  versions: string[];
  platform: string;
  inputs: TensorMetadata[];
  outputs: TensorMetadata[];
};

/**
 * The catalogue's entry of a model that has this version; empty or undefined: any.
 * @throws SpillwayError `MODEL_NOT_FOUND`.
 */
export function servedRecord(
  catalogue: Pick<ModelCatalogue, 'get'>,
  model: string,
  version: string | undefined,
): ModelRecord {
  const record = catalogue.get(model);
  if (record === undefined) throw new SpillwayError('MODEL_NOT_FOUND', 'no such model is served here');
  if (version !== undefined && version !== '' && !record.versions.includes(version)) {
    throw new SpillwayError(
      'MODEL_NOT_FOUND',
      `model "${model}" has no such version; it has ${record.versions.join(', ')}`,
    );
  }
  return record;
}

/** @throws SpillwayError `MODEL_NOT_FOUND`. */
export function modelMetadata(
  catalogue: Pick<ModelCatalogue, 'get'>,
  model: string,
  version: string | undefined,
): ModelMetadata {
  const record = servedRecord(catalogue, model, version);
  const shapeOf = (spec: TensorSpec): number[] => (record.maxBatchSize > 0 ? [-1, ...spec.dims] : spec.dims);
  const tensor = (spec: TensorSpec): TensorMetadata => ({
    name: spec.name,
    datatype: spec.datatype,
    shape: shapeOf(spec),
  });
  return {
    name: record.model,
    versions: record.versions,
    platform: record.platform,
    inputs: record.inputs.map(tensor),
    outputs: record.outputs.map(tensor),
  };
}

export type IndexEntry = { name: string; version: string; state: 'READY' | 'UNAVAILABLE'; reason: string };

const entryOf = (catalogue: ModelCatalogue, record: ModelRecord, version: string): IndexEntry => {
  const ready = catalogue.isReady(record.model, version);
  return {
    name: record.model,
    version,
    state: ready ? 'READY' : 'UNAVAILABLE',
    reason: ready ? '' : 'no live worker serves it',
  };
};

const unloadedEntry = (catalogue: ModelCatalogue, { model }: ModelRecord, version: string): IndexEntry => ({
  name: model,
  version,
  state: 'UNAVAILABLE',
  reason: catalogue.isLeaving(model) ? 'unloading' : 'unloaded',
});

/** What can be asked for, then what was unloaded on command, with the versions that it had. */
export function repositoryIndex(catalogue: ModelCatalogue, onlyReady: boolean): IndexEntry[] {
  const served = catalogue
    .list()
    .flatMap((record) => record.versions.map((version) => entryOf(catalogue, record, version)));
  if (onlyReady) return served.filter((entry) => entry.state === 'READY');
  const unloaded = catalogue
    .listUnloaded()
    .flatMap((record) => record.versions.map((version) => unloadedEntry(catalogue, record, version)));
  return [...served, ...unloaded];
}
