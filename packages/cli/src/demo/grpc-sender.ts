import { PROTO_DIR } from '@spillway/contracts/protos';
import { elementCount } from '@spillway/contracts/tensor';
import { openChannel } from '@spillway/rpc/channel';
import { loadServices } from '@spillway/rpc/load';
import type { Method } from '@spillway/rpc/method';
import { fromRaw, toRaw } from './raw-tensor.ts';
import type { Sender } from './sender.ts';

type TensorInfo = { name: string; datatype: string; shape: (string | number)[] };
type InferRequest = { model_name: string; inputs: TensorInfo[]; raw_input_contents: Uint8Array[] };
type InferResponse = { outputs: TensorInfo[]; raw_output_contents: Uint8Array[] };

const SERVICE = 'inference.GRPCInferenceService';
const TIMEOUT_MS = 30_000;

/** The gateway's gRPC door, called as any client of the Open Inference Protocol calls it: tensors as raw bytes. */
export function openGrpcSender(address: string, key: string | undefined): Sender {
  const method = inferMethod();
  const channel = openChannel(address);
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  return {
    infer: async (model, { inputs }) => {
      const request: InferRequest = {
        model_name: model,
        inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
        raw_input_contents: inputs.map(({ datatype, data }) => toRaw(datatype, data)),
      };
      const response = await channel.unary(method, request, { timeoutMs: TIMEOUT_MS, headers });
      return response.outputs.map(({ name, datatype, shape: texts }, i) => {
        const shape = texts.map(Number);
        const raw = response.raw_output_contents[i] ?? new Uint8Array();
        return { name, datatype, shape, data: fromRaw(datatype, raw, elementCount(shape), name) };
      });
    },
    close: async () => channel.close(),
  };
}

function inferMethod(): Method<InferRequest, InferResponse> {
  const definition = loadServices(['grpc_service.proto'], [`${PROTO_DIR}/inference`])[SERVICE]?.['ModelInfer'];
  if (!definition) throw new Error(`bug: grpc_service.proto has no ${SERVICE}.ModelInfer`);
  const { path, requestSerialize, requestDeserialize, responseSerialize, responseDeserialize } = definition;
  return {
    path,
    request: { encode: requestSerialize, decode: (bytes) => requestDeserialize(Buffer.from(bytes)) as InferRequest },
    response: {
      encode: responseSerialize,
      decode: (bytes) => responseDeserialize(Buffer.from(bytes)) as InferResponse,
    },
  };
}
