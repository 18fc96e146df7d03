/**
 * The part of the Open Inference Protocol's gRPC service that the client calls, as protobuf descriptors in JSON: a package from the
 * registry has no folder of .proto files to read. Names and numbers are the protocol's.
 */

type Field = { type: string; id: number; rule?: 'repeated'; keyType?: 'string'; options?: { packed: boolean } };
type Message = { fields: Record<string, Field>; oneofs?: Record<string, { oneof: string[] }>; nested?: Messages };
type Messages = { [name: string]: Message };

const one = (id: number, type = 'string'): Field => ({ type, id });
const many = (id: number, type = 'string'): Field => ({ type, id, rule: 'repeated' });
const packed = (id: number, type: string): Field => ({ ...many(id, type), options: { packed: true } });
const parameters = (id: number): Field => ({ keyType: 'string', type: 'InferParameter', id });

const tensorMetadata: Message = { fields: { name: one(1), datatype: one(2), shape: packed(3, 'int64') } };
const tensor: Message = {
  fields: { name: one(1), datatype: one(2), shape: packed(3, 'int64'), parameters: parameters(4) },
};
const modelName = { fields: { name: one(1), version: one(2) } };

const messages: Messages = {
  ServerReadyRequest: { fields: {} },
  ServerReadyResponse: { fields: { ready: one(1, 'bool') } },
  ModelMetadataRequest: modelName,
  ModelMetadataResponse: {
    fields: {
      name: one(1),
      versions: many(2),
      platform: one(3),
      inputs: many(4, 'TensorMetadata'),
      outputs: many(5, 'TensorMetadata'),
    },
    nested: { TensorMetadata: tensorMetadata },
  },
  RepositoryIndexRequest: { fields: { repository_name: one(1), ready: one(2, 'bool') } },
  RepositoryIndexResponse: {
    fields: { models: many(1, 'ModelIndex') },
    nested: { ModelIndex: { fields: { name: one(1), version: one(2), state: one(3), reason: one(4) } } },
  },
  InferParameter: {
    fields: {
      bool_param: one(1, 'bool'),
      int64_param: one(2, 'int64'),
      string_param: one(3),
      double_param: one(4, 'double'),
      uint64_param: one(5, 'uint64'),
    },
    oneofs: {
      parameter_choice: { oneof: ['bool_param', 'int64_param', 'string_param', 'double_param', 'uint64_param'] },
    },
  },
  ModelInferRequest: {
    fields: {
      model_name: one(1),
      model_version: one(2),
      id: one(3),
      parameters: parameters(4),
      inputs: many(5, 'InferInputTensor'),
      outputs: many(6, 'InferRequestedOutputTensor'),
      raw_input_contents: many(7, 'bytes'),
    },
    nested: {
      InferInputTensor: tensor,
      InferRequestedOutputTensor: { fields: { name: one(1), parameters: parameters(2) } },
    },
  },
  ModelInferResponse: {
    fields: {
      model_name: one(1),
      model_version: one(2),
      id: one(3),
      parameters: parameters(4),
      outputs: many(5, 'InferOutputTensor'),
      raw_output_contents: many(6, 'bytes'),
    },
    nested: { InferOutputTensor: tensor },
  },
  ModelStreamInferResponse: { fields: { error_message: one(1), infer_response: one(2, 'ModelInferResponse') } },
};

const method = (name: string, streams = false) => ({
  requestType: name === 'ModelStreamInfer' ? 'ModelInferRequest' : `${name}Request`,
  responseType: `${name}Response`,
  requestStream: streams,
  responseStream: streams,
});

/** For proto-loader's `fromJSON`. */
export const DESCRIPTOR = {
  options: { syntax: 'proto3' },
  nested: {
    inference: {
      nested: {
        GRPCInferenceService: {
          methods: {
            ServerReady: method('ServerReady'),
            ModelMetadata: method('ModelMetadata'),
            RepositoryIndex: method('RepositoryIndex'),
            ModelInfer: method('ModelInfer'),
            ModelStreamInfer: method('ModelStreamInfer', true),
          },
        },
        ...messages,
      },
    },
  },
};

export const SERVICE = 'inference.GRPCInferenceService';

/** Field names stay as written; sizes of 64 bits come as texts. */
export const LOAD_OPTIONS = { keepCase: true, longs: String, defaults: false, oneofs: false } as const;

export type WireParameter = { bool_param?: boolean; int64_param?: string | number; string_param?: string };
export type WireRequest = {
  model_name: string;
  model_version?: string;
  inputs: { name: string; datatype: string; shape: readonly number[] }[];
  outputs?: { name: string }[];
  raw_input_contents: Uint8Array[];
};
export type WireResponse = {
  model_name?: string;
  model_version?: string;
  parameters?: Record<string, WireParameter>;
  outputs?: { name: string; datatype: string; shape?: (string | number)[] }[];
  raw_output_contents?: Uint8Array[];
};
export type WireStreamResponse = { error_message?: string; infer_response?: WireResponse };
