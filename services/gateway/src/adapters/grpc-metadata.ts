import type { Codec } from '@spillway/contracts/codec';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { loadServices } from '@spillway/rpc/load';
import type { GrpcService } from '@spillway/rpc/method';
import { serveUnary, type UnaryCall } from '@spillway/rpc/unary';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import type { DoorContext } from './door-context.ts';
import { SERVICE } from './grpc-call.ts';
import { modelMetadata, repositoryIndex, serverMetadata } from './oip-metadata.ts';

type ModelName = { name?: string; version?: string };

/** Everything of the service that runs no model; the same answers as the HTTP door. */
export function serveMetadata(context: DoorContext): GrpcService[] {
  const definition = loadServices(['grpc_service.proto'], [`${PROTO_DIR}/inference`])[SERVICE];
  const serve = <Request, Response>(
    name: string,
    answer: (request: Request, call: UnaryCall) => Response,
  ): GrpcService => {
    const method = definition?.[name];
    if (method === undefined) throw new Error(`bug: grpc_service.proto has no method ${name}`);
    const request = codecOf<Request>(method.requestSerialize, method.requestDeserialize);
    const response = codecOf<Response>(method.responseSerialize, method.responseDeserialize);
    return serveUnary({ path: method.path, request, response }, async (message, call) => answer(message, call));
  };
  const { catalogue } = context;
  const identify = (call: UnaryCall): void => {
    const { keyId } = context.keys.identify(call.header('authorization'));
    putRateLimits(call.setTrailer, context.admission.quotaOf(keyId), context.clock.now());
  };
  return [
    serve('ServerLive', () => ({ live: true })),
    serve('ServerReady', () => ({ ready: context.isReady() })),
    serve('ServerMetadata', () => serverMetadata()),
    serve('ModelReady', ({ name = '', version = '' }: ModelName) => ({
      ready: context.isReady() && catalogue.isReady(name, version === '' ? undefined : version),
    })),
    serve('ModelMetadata', ({ name = '', version }: ModelName, call) => {
      identify(call);
      return modelMetadata(catalogue, name, version);
    }),
    serve('RepositoryIndex', ({ ready = false }: { ready?: boolean }, call) => {
      identify(call);
      return { models: repositoryIndex(catalogue, ready) };
    }),
  ];
}

/** These methods are called rarely: the conversions of proto-loader cost nothing that matters. */
function codecOf<T>(serialize: (value: T) => Buffer, deserialize: (bytes: Buffer) => T): Codec<T> {
  return {
    encode: serialize,
    decode: (bytes) => {
      try {
        return deserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      } catch (cause) {
        throw new SpillwayError('INVALID_REQUEST', 'expected a protobuf message of its type', { cause });
      }
    },
  };
}
