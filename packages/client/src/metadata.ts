import { type Datatype, isDatatype } from './tensors.ts';

/** A tensor of a model: -1 for a variable dimension, the first one is the batch if the model batches. */
export type TensorMetadata = { name: string; datatype: Datatype; shape: number[] };

export type ModelMetadata = {
  name: string;
  /** That can serve; ascending numbers. */
  versions: string[];
  platform: string;
  inputs: TensorMetadata[];
  outputs: TensorMetadata[];
};

export type ModelVersion = { version: string; ready: boolean; reason: string };

/** A line of the repository's index. `ready`: at least one version can serve. */
export type ModelSummary = { name: string; ready: boolean; versions: ModelVersion[] };

/** The message as HTTP's JSON and gRPC have it: there the sizes of 64 bits are texts. */
export type WireMetadata = {
  name?: string;
  versions?: string[];
  platform?: string;
  inputs?: WireTensor[];
  outputs?: WireTensor[];
};
type WireTensor = { name?: string; datatype?: string; shape?: (string | number)[] };
export type WireIndexEntry = { name?: string; version?: string; state?: string; reason?: string };

export const readMetadata = (wire: WireMetadata): ModelMetadata => ({
  name: wire.name ?? '',
  versions: wire.versions ?? [],
  platform: wire.platform ?? '',
  inputs: (wire.inputs ?? []).map(readTensor),
  outputs: (wire.outputs ?? []).map(readTensor),
});

const readTensor = ({ name = '', datatype, shape = [] }: WireTensor): TensorMetadata => ({
  name,
  datatype: isDatatype(datatype) ? datatype : 'BYTES',
  shape: shape.map(Number),
});

/** One summary for each model, in the order of the index. */
export function readIndex(entries: readonly WireIndexEntry[]): ModelSummary[] {
  const models = new Map<string, ModelSummary>();
  for (const { name = '', version = '', state, reason = '' } of entries) {
    const model = models.get(name) ?? { name, ready: false, versions: [] };
    const ready = state === 'READY';
    model.ready ||= ready;
    model.versions.push({ version, ready, reason });
    models.set(name, model);
  }
  return [...models.values()];
}
