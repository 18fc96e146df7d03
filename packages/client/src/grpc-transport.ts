import type { Fields } from './errors.ts';
import { SpillwayClientError } from './errors.ts';
import { GrpcChannel, type GrpcOptions } from './grpc-channel.ts';
import type { WireRequest, WireResponse } from './grpc-messages.ts';
import { encodeInput } from './inputs.ts';
import { readIndex, readMetadata, type WireIndexEntry, type WireMetadata } from './metadata.ts';
import { readReceipt } from './receipt.ts';
import type { Answered, InferRequest, Ticket, Transport } from './request.ts';
import { type BytesAs, decodeTensor, isDatatype, type Tensor } from './tensors.ts';

/** A channel that is opened when it is first needed. */
export type LazyChannel = { open(): Promise<GrpcChannel>; close(): Promise<void> };

export function lazyChannel(url: URL, options: GrpcOptions): LazyChannel {
  let channel: Promise<GrpcChannel> | undefined;
  return {
    open: () => {
      channel ??= GrpcChannel.open(url, options);
      return channel;
    },
    close: async () => {
      const opened = channel;
      channel = undefined;
      (await opened)?.close();
    },
  };
}

/** Inputs are always raw. */
export const wireRequest = ({ model, version, inputs, outputs }: InferRequest): WireRequest => ({
  model_name: model,
  ...(version !== undefined && { model_version: version }),
  inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
  ...(outputs !== undefined && { outputs: outputs.map((name) => ({ name })) }),
  raw_input_contents: inputs.map(encodeInput),
});

/** @param fields Of the trailers, or of the parameters on a stream. */
export function readResponse(response: WireResponse, fields: Fields, as: BytesAs): Answered | { ticket: Ticket } {
  const job = response.parameters?.['spillway_job']?.string_param;
  if (job !== undefined) return { ticket: { job } };
  const read = ({ name, datatype, shape = [] }: NonNullable<WireResponse['outputs']>[number], index: number) => {
    const raw = response.raw_output_contents?.[index];
    if (!isDatatype(datatype) || raw === undefined) {
      throw new SpillwayClientError('INTERNAL', `the answer cannot be read: output "${name}" has no raw contents`);
    }
    return [name, decodeTensor(name, datatype, shape.map(Number), raw, as)] as [string, Tensor];
  };
  return {
    model: response.model_name ?? '',
    version: response.model_version ?? '',
    outputs: Object.fromEntries((response.outputs ?? []).map(read)),
    receipt: readReceipt(fields),
  };
}

export function grpcTransport(channel: LazyChannel): Transport {
  return {
    kind: 'grpc',
    infer: async (request, scope) => {
      const opened = await channel.open();
      const { response, fields } = await opened.unary('ModelInfer', wireRequest(request), request.headers, scope);
      return readResponse(response as WireResponse, fields, request.bytes);
    },
    model: async (name, version = '', scope) => {
      const opened = await channel.open();
      const { response } = await opened.unary('ModelMetadata', { name, version }, {}, scope);
      return readMetadata(response as WireMetadata);
    },
    models: async (scope) => {
      const opened = await channel.open();
      const { response } = await opened.unary('RepositoryIndex', {}, {}, scope);
      return readIndex((response as { models?: WireIndexEntry[] }).models ?? []);
    },
    ready: async (scope) => {
      const opened = await channel.open();
      const { response } = await opened.unary('ServerReady', {}, {}, scope);
      return (response as { ready?: boolean }).ready === true;
    },
    close: () => channel.close(),
  };
}
