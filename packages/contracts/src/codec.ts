import { SpillwayError } from '@spillway/errors/spillway-error';
import type protobuf from 'protobufjs';
import { meshRoot } from './protos.ts';

/** Encodes plain objects and decodes to them, without the conversions of proto-loader: they cost more than the wire format. */
export type Codec<T> = { encode(message: T): Uint8Array; decode(bytes: Uint8Array): T };

/**
 * A decoded message reads absent scalars as their defaults (0, '', empty bytes) and absent lists as []. Bytes are views
 * into the input, at any offset.
 * @throws SpillwayError `INVALID_REQUEST` from `decode` when the bytes are not such a message.
 */
export function codecOf<T>(type: protobuf.Type): Codec<T> {
  return {
    encode: (message) => type.encode(message as { [k: string]: unknown }).finish(),
    decode: (bytes) => {
      try {
        return type.decode(bytes) as unknown as T;
      } catch (cause) {
        throw new SpillwayError('INVALID_REQUEST', `expected a message ${type.fullName.slice(1)}`, { cause });
      }
    },
  };
}

/** Codec of one of the mesh's own messages, by its full name such as `spillway.v1.WorkFrame`. */
export const codec = <T>(name: string): Codec<T> => codecOf<T>(meshRoot.lookupType(name));
