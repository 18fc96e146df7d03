import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Codec } from '@spillway/contracts/codec';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { asBuffer, type Method } from './method.ts';

/**
 * Services by full name, read from `.proto` files of this repository (never from outside: a schema can carry code).
 * Messages are plain objects: field names as written, 64-bit integers as decimal strings (a number would round them), enums by
 * name, absent fields absent, and the member set of a oneof under the oneof's name.
 */
export function loadServices(protoFiles: string[], includeDirs: string[]): Record<string, ServiceDefinition> {
  const loaded = loadSync(protoFiles, {
    includeDirs,
    keepCase: true,
    longs: String,
    enums: String,
    defaults: false,
    oneofs: true,
  });
  // What has a format is a message or an enum.
  const services = Object.entries(loaded).filter(([, value]) => !('format' in value));
  return Object.fromEntries(services) as Record<string, ServiceDefinition>;
}

/**
 * A method of a loaded service, with its messages as `loadServices` makes them. For what is called rarely: the conversions cost more
 * than the wire format.
 */
export function loadedMethod<Request, Response>(
  service: ServiceDefinition | undefined,
  name: string,
): Method<Request, Response> {
  const method = service?.[name];
  if (method === undefined) throw new Error(`bug: the service has no method ${name}`);
  return {
    path: method.path,
    request: loadedCodec<Request>(method.requestSerialize, method.requestDeserialize),
    response: loadedCodec<Response>(method.responseSerialize, method.responseDeserialize),
  };
}

const loadedCodec = <T>(serialize: (value: T) => Buffer, deserialize: (bytes: Buffer) => T): Codec<T> => ({
  encode: serialize,
  decode: (bytes) => {
    try {
      return deserialize(asBuffer(bytes));
    } catch (cause) {
      throw new SpillwayError('INVALID_REQUEST', 'expected a protobuf message of its type', { cause });
    }
  },
});
