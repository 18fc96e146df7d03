import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import {
  bytesOf,
  type NumericArray,
  type NumericType,
  numericView,
  packBytes,
  unpackBytes,
} from '@spillway/contracts/tensor';
import { loadServices } from '@spillway/rpc/load';
import { REPO } from '@spillway/testing/find-binary';
import type { CaseTensor, ModelCase, OipTensor } from './cases.ts';

/** Messages as proto-loader makes them from protos/inference, field names as written. */
export type InferTensor = {
  name: string;
  datatype: string;
  shape: (string | number)[];
  contents?: Record<string, unknown[]>;
};
export type ModelInferRequest = {
  model_name: string;
  model_version?: string;
  id?: string;
  parameters?: Record<string, unknown>;
  inputs?: InferTensor[];
  outputs?: { name: string }[];
  raw_input_contents?: Uint8Array[];
};
export type ModelInferResponse = {
  model_name: string;
  model_version: string;
  id?: string;
  parameters?: Record<string, unknown>;
  outputs?: InferTensor[];
  raw_output_contents?: Buffer[];
};
export type StreamResponse = { error_message?: string; infer_response?: ModelInferResponse };

export type GrpcReply<T> = {
  /** gRPC's status code; 0 answered. */
  code: number;
  details: string;
  trailers: grpc.Metadata;
  response: T | undefined;
  ms: number;
};

const PROTOS = join(REPO, 'protos', 'inference');
const { 'inference.GRPCInferenceService': definition } = loadServices(['grpc_service.proto'], [PROTOS]);

/** A request as bytes, for tests that damage them. */
export const encodeRequest = definition?.['ModelInfer']?.requestSerialize as (request: ModelInferRequest) => Buffer;

type Callback<T> = (error: grpc.ServiceError | null, response?: T) => void;
type Unary = (
  request: object,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: Callback<unknown>,
) => grpc.ClientUnaryCall;

export type CallOptions = { metadata?: Record<string, string>; timeoutMs?: number };

/** A client of the Open Inference Protocol's gRPC door, as proto-loader users write it. */
export class OipGrpcClient implements Disposable {
  readonly #client: grpc.Client;

  constructor(address: string) {
    const Client = grpc.makeGenericClientConstructor(definition as grpc.ServiceDefinition, 'GRPCInferenceService');
    this.#client = new Client(address, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  }

  /** Never rejects: what went wrong is in the reply. */
  call<T>(
    method: string,
    request: object,
    { metadata = {}, timeoutMs = 30_000 }: CallOptions = {},
  ): Promise<GrpcReply<T>> {
    const unary = (this.#client as unknown as Record<string, Unary>)[method] as Unary;
    const startMs = performance.now();
    return new Promise((resolve) => {
      const call = unary.call(
        this.#client,
        request,
        metadataOf(metadata),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          const ended = { trailers: error?.metadata ?? trailers, response: response as T | undefined };
          resolve({ code: error?.code ?? 0, details: error?.details ?? '', ms: performance.now() - startMs, ...ended });
        },
      );
      let trailers = new grpc.Metadata();
      call.on('status', (status) => {
        trailers = status.metadata;
      });
    });
  }

  infer(request: ModelInferRequest, options?: CallOptions): Promise<GrpcReply<ModelInferResponse>> {
    return this.call<ModelInferResponse>('ModelInfer', request, options);
  }

  stream(metadata: Record<string, string> = {}): grpc.ClientDuplexStream<ModelInferRequest, StreamResponse> {
    type Duplex = (metadata: grpc.Metadata) => grpc.ClientDuplexStream<ModelInferRequest, StreamResponse>;
    const open = (this.#client as unknown as Record<string, Duplex>)['ModelStreamInfer'] as Duplex;
    return open.call(this.#client, metadataOf(metadata));
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function metadataOf(values: Record<string, string>): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
}

const MAKE: Partial<Record<string, (data: number[]) => NumericArray>> = {
  FP32: (data) => Float32Array.from(data),
  FP64: (data) => Float64Array.from(data),
  INT32: (data) => Int32Array.from(data),
  INT64: (data) => BigInt64Array.from(data.map(BigInt)),
};

function rawOf({ datatype, data }: CaseTensor): Uint8Array {
  if (datatype === 'BYTES') return packBytes(data.map((text) => Buffer.from(String(text))));
  const make = MAKE[datatype];
  if (make === undefined) throw new Error(`no test has needed ${datatype} yet`);
  return bytesOf(make(data as number[]));
}

/** A case as a request with raw tensors. */
export const grpcRequest = (model: string, { inputs }: ModelCase): ModelInferRequest => ({
  model_name: model,
  inputs: Object.entries(inputs).map(([name, { datatype, shape }]) => ({ name, datatype, shape })),
  raw_input_contents: Object.values(inputs).map(rawOf),
});

/** Outputs of a response as the REST door would give them. */
export function outputsOf(response: ModelInferResponse | undefined): OipTensor[] | undefined {
  return response?.outputs?.map(({ name, datatype, shape }, index) => {
    const raw = response.raw_output_contents?.[index] ?? Buffer.alloc(0);
    const dims = shape.map(Number);
    const count = dims.reduce((product, dim) => product * dim, 1);
    const data =
      datatype === 'BYTES'
        ? unpackBytes(raw, count, name).map((element) => Buffer.from(element).toString())
        : Array.from(numericView(datatype as NumericType, raw) as Float32Array, Number);
    return { name, datatype, shape: dims, data };
  });
}
