import type { Codec } from '@spillway/contracts/codec';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { GrpcService, Method } from '../src/method.ts';
import { startGrpcServer } from '../src/server.ts';

/** JSON as message format: these tests are about streams, not about protobuf. */
export function jsonCodec<T>(): Codec<T> {
  return {
    encode: (message) => Buffer.from(JSON.stringify(message)),
    decode: (bytes) => {
      try {
        return JSON.parse(Buffer.from(bytes).toString()) as T;
      } catch (cause) {
        throw new SpillwayError('INVALID_REQUEST', 'expected JSON', { cause });
      }
    },
  };
}

export type Note = { n: number; text?: string };

export const ECHO: Method<Note, Note> = {
  path: '/spillway.test.Echo/Echo',
  request: jsonCodec<Note>(),
  response: jsonCodec<Note>(),
};

export const serve = (services: GrpcService[], port = 0) =>
  startGrpcServer({ host: '127.0.0.1', port, services, maxReceiveBytes: 16 * 1024 * 1024 });

/** What a callback was given, in order; `next` waits for the next one. */
export class Heard<T> {
  readonly all: T[] = [];
  #taken = 0;
  #wake: () => void = () => undefined;

  readonly hear = (value: T): void => {
    this.all.push(value);
    this.#wake();
  };

  async next(): Promise<T> {
    while (this.#taken >= this.all.length) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#taken += 1;
    return this.all[this.#taken - 1] as T;
  }
}
