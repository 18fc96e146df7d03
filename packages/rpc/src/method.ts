import type { MethodDefinition, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Codec } from '@spillway/contracts/codec';

/** One method of a service, `/spillway.v1.Cache/Access`, with the codecs of its messages. */
export type Method<Request, Response> = { path: string; request: Codec<Request>; response: Codec<Response> };

/** What a server is given to serve. Several entries may be methods of one service. */
export type GrpcService = { definition: ServiceDefinition; handlers: UntypedServiceImplementation };

type RawMethod = MethodDefinition<Buffer, Buffer>;

const same = (bytes: Buffer): Buffer => bytes;

/**
 * The method as grpc-js sees it: bytes on both sides. Encoding and decoding are ours, so that a size is known before a message
 * is queued, and a message that cannot be read is an INVALID_REQUEST and not grpc-js's INTERNAL.
 */
export const rawMethod = (path: string, kind: 'unary' | 'duplex'): RawMethod => ({
  path,
  requestStream: kind === 'duplex',
  responseStream: kind === 'duplex',
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});

/** `/spillway.v1.Cache/Access` → `spillway.v1.Cache`. */
export const serviceOf = (path: string): string => path.split('/')[1] ?? '';

/** grpc-js takes Buffers only; a view, so nothing is copied. */
export const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
