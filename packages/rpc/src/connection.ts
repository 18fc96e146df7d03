import type { Socket } from 'node:net';
import { type ChannelCredentials, Client, credentials } from '@grpc/grpc-js';
import type { TrafficClass } from '@spillway/contracts/classes';
import { meshChannelOptions } from './channel.ts';

/** A client with one connection that can be given up while it is still being made. */
export type Connection = {
  readonly client: Client;
  /** Takes no new calls; the connection ends with the last call. */
  close(): void;
  /** Ends the connection now. */
  abandon(): void;
};

/**
 * `Client.close()` of grpc-js 1.14 leaves a connection open for ever if its HTTP/2 handshake has not ended (a stopped process,
 * say, whose kernel still accepts): each further attempt would leak a socket. So this keeps hold of the sockets.
 */
export function connectTo(address: string, trafficClass?: TrafficClass): Connection {
  const sockets = new Sockets();
  const client = new Client(address, rememberingSockets(sockets), meshChannelOptions(trafficClass));
  const close = () => client.close();
  const abandon = () => {
    close();
    sockets.abandon();
  };
  return { client, close, abandon };
}

class Sockets {
  readonly #open = new Set<Socket>();
  #abandoned = false;

  add(socket: Socket): void {
    if (this.#abandoned) socket.destroy(); // its TCP handshake was still under way
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
  }

  abandon(): void {
    this.#abandoned = true;
    for (const socket of this.#open) socket.destroy();
  }
}

/** The one hook between the TCP connection and HTTP/2; its type is public (`experimental.SecureConnector`). */
function rememberingSockets(sockets: Sockets): ChannelCredentials {
  const plain = credentials.createInsecure();
  const createConnector = plain._createSecureConnector.bind(plain);
  plain._createSecureConnector = (...context) => {
    const connector = createConnector(...context);
    const connect = connector.connect.bind(connector);
    connector.connect = (socket) => {
      sockets.add(socket);
      return connect(socket);
    };
    return connector;
  };
  return plain;
}
