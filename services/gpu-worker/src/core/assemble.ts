import type { TensorSpec } from '@spillway/contracts/buckets';
import { DATA_TYPES, elementCount, type NumericArray, type NumericType, numericView } from '@spillway/contracts/tensor';
import type { RunTensor } from './backend.ts';
import { type HashedNgramsSpec, hashedNgrams } from './hashed-ngrams.ts';
import type { RequestInputs } from './request-reader.ts';
import type { ServedGraph } from './served-graph.ts';

/** Buffers above this are made for one run and forgotten: a rare giant must not stay. */
const MAX_KEPT_BYTES = 64 << 20;

/**
 * Concatenates requests into the inputs of one run. One buffer for each input is kept and grown to the largest run seen; a
 * run of fewer rows uses its beginning (padding to a bucket was measured and costs: 33 rows of `mlp` take 51 µs, 64 take 86).
 */
export class Assembler {
  readonly #graph: ServedGraph;
  readonly #buffers: (Uint8Array | undefined)[] = [];

  constructor(graph: ServedGraph) {
    this.#graph = graph;
  }

  /**
   * @param requests Of equal `shapes`; at least one, and exactly one if the model does not batch.
   * @returns Tensors whose data is valid until the next call.
   */
  assemble(requests: readonly RequestInputs[]): RunTensor[] {
    let rows = 0;
    for (const request of requests) rows += request.rows;
    return this.#graph.feeds.map((feed, index) => {
      const dims = (requests[0] as RequestInputs).dims[index] as number[];
      if (feed.name === this.#graph.preprocess?.output) return this.#preprocess(feed, requests, index);
      const shape = this.#graph.maxBatchSize > 0 ? [rows, ...dims] : dims;
      const data =
        feed.datatype === 'BYTES'
          ? requests.flatMap((request) => request.data[index] as string[])
          : this.#concatenate(feed.datatype, index, requests, elementCount(shape));
      return { name: feed.name, datatype: feed.datatype, shape, data };
    });
  }

  #concatenate(datatype: NumericType, index: number, requests: readonly RequestInputs[], count: number): NumericArray {
    const buffer = this.#buffer(index, count * DATA_TYPES[datatype].bytes);
    let at = 0;
    for (const request of requests) {
      const bytes = request.data[index] as Uint8Array;
      buffer.set(bytes, at);
      at += bytes.length;
    }
    return numericView(datatype, buffer);
  }

  /** The first `bytes` of the input's buffer. Its memory is its own, so it is aligned for every type. */
  #buffer(index: number, bytes: number): Uint8Array {
    const kept = this.#buffers[index];
    if (kept !== undefined && kept.length >= bytes) return kept.subarray(0, bytes);
    const made = new Uint8Array(bytes);
    if (bytes <= MAX_KEPT_BYTES) this.#buffers[index] = made;
    return made;
  }

  #preprocess(feed: TensorSpec, requests: readonly RequestInputs[], index: number): RunTensor {
    const { spec } = this.#graph.preprocess as NonNullable<ServedGraph['preprocess']>;
    const texts = requests.flatMap((request) => request.data[index] as Uint8Array[]);
    return ngramTensor(feed, texts, spec);
  }
}

/** Ids of texts as a graph's input: where nothing is said, as wide as the longest row if the graph leaves the width free. */
export function ngramTensor(feed: TensorSpec, texts: readonly Uint8Array[], spec: HashedNgramsSpec): RunTensor {
  const { maxIds, maxWords } = spec;
  const width = maxWords === undefined ? feed.dims.at(-1) : feed.dims.at(-2);
  const data = hashedNgrams(texts, { ...spec, padTo: spec.padTo ?? (width === -1 ? 'longest' : 'max_ids') });
  const rowIds = data.length / texts.length;
  const shape = maxWords === undefined ? [texts.length, rowIds] : [texts.length, rowIds / maxIds, maxIds];
  return { name: feed.name, datatype: feed.datatype, shape, data };
}
