import { PROTO_DIR } from '@spillway/contracts/protos';
import { loadServices } from '@spillway/rpc/load';
import { emptyCall, type GrpcInferCall, readInferMessage } from '../../src/core/oip-grpc-request.ts';

/** The messages as an outsider writes and reads them: by the published files, with proto-loader. */
const definition = loadServices(['grpc_service.proto'], [`${PROTO_DIR}/inference`])['inference.GRPCInferenceService'];

type Encode = (message: object) => Buffer;

export type Parameters = Record<string, { [arm: string]: unknown }>;
export type OutsideAnswer = {
  model_name: string;
  model_version: string;
  id?: string;
  parameters?: Parameters;
  outputs: { name: string; datatype: string; shape: string[] }[];
  raw_output_contents: Buffer[];
};

export const encodeRequest: Encode = definition?.['ModelInfer']?.requestSerialize as Encode;
export const decodeAnswer = definition?.['ModelInfer']?.responseDeserialize as (bytes: Buffer) => OutsideAnswer;
export const decodeStreamAnswer = definition?.['ModelStreamInfer']?.responseDeserialize as (bytes: Buffer) => {
  error_message?: string;
  infer_response?: OutsideAnswer;
};

/** What the door makes of bytes. */
export function readBytes(bytes: Buffer): GrpcInferCall {
  const call = emptyCall();
  readInferMessage(bytes, call);
  return call;
}

export const read = (message: object): GrpcInferCall => readBytes(encodeRequest(message));
