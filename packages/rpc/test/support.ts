import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
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

/** A plain TCP server; closing it breaks its connections. */
export async function listening(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const dispose = async () => {
    server.close();
    breakAll();
  };
  return { port, breakAll, sockets, [Symbol.asyncDispose]: dispose };
}

/** A wire to a local port that can be cut. */
export const breakableWire = (port: number) =>
  listening((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
  });
