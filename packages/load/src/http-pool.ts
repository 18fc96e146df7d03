import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { type HttpResponse, readResponse } from './http-response.ts';

export type HttpReply = HttpResponse | { status: 0; reason: string };

/** One request on its way; `encoding` of its text. */
type Exchange = {
  request: string;
  encoding: 'latin1' | 'utf8';
  onReply: (reply: HttpReply) => void;
  connection: Connection | undefined;
};

/** Servers close connections that were idle for 5 s (Node, uvicorn); a request that crosses with that would fail for nothing. */
const MAX_IDLE_MS = 4_000;

export type HttpPoolOptions = {
  host: string;
  port: number;
  maxConnections: number;
  /** Absent: plain HTTP. One for all connections: authorities are read once. */
  tls?: SecureContext | undefined;
};

/**
 * Keep-alive connections on raw sockets, without pipelining: a request takes an idle one, or opens one. When all
 * are open and busy, requests wait for one, and their lateness shows that the generator was the limit.
 */
export class HttpPool {
  readonly #options: HttpPoolOptions;
  readonly #idle: Connection[] = []; // the last that became idle is taken first, so surplus ones age and are closed
  readonly #all = new Set<Connection>();
  readonly #waiting = new Set<Exchange>();
  readonly #buffer = Buffer.allocUnsafeSlow(64 * 1024); // shared: what came is read before the next read begins
  #most = 0;
  #waited = 0;

  constructor(options: HttpPoolOptions) {
    this.#options = options;
  }

  /** Most connections that were open at a time. */
  get mostConnections(): number {
    return this.#most;
  }

  /** Requests that had to wait for a connection. */
  get waited(): number {
    return this.#waited;
  }

  /** @returns Gives up: closes the connection if the request was sent. */
  send(request: string, encoding: 'latin1' | 'utf8', onReply: (reply: HttpReply) => void): () => void {
    const exchange: Exchange = { request, encoding, onReply, connection: undefined };
    this.#dispatch(exchange);
    return () => {
      this.#waiting.delete(exchange);
      exchange.connection?.abandon(exchange);
    };
  }

  close(): void {
    for (const connection of this.#all) connection.destroy();
  }

  #dispatch(exchange: Exchange): void {
    const idle = this.#takeIdle();
    if (idle !== undefined) idle.start(exchange);
    else if (this.#all.size < this.#options.maxConnections) this.#open().start(exchange);
    else {
      this.#waited += 1;
      this.#waiting.add(exchange);
    }
  }

  #takeIdle(): Connection | undefined {
    const staleMs = performance.now() - MAX_IDLE_MS;
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.idleSinceMs > staleMs) return idle;
      idle.destroy();
    }
    return undefined;
  }

  #open(): Connection {
    const { host, port, tls } = this.#options;
    const connection = new Connection(
      { host, port, tls, buffer: this.#buffer },
      {
        free: (freed) => this.#freed(freed),
        gone: (lost, exchange) => this.#gone(lost, exchange),
      },
    );
    this.#all.add(connection);
    this.#most = Math.max(this.#most, this.#all.size);
    return connection;
  }

  #freed(connection: Connection): void {
    const next = this.#nextWaiting();
    if (next === undefined) {
      connection.idleSinceMs = performance.now();
      this.#idle.push(connection);
    } else connection.start(next);
  }

  #nextWaiting(): Exchange | undefined {
    const [next] = this.#waiting;
    if (next !== undefined) this.#waiting.delete(next);
    return next;
  }

  #gone(connection: Connection, exchange: Exchange | undefined): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    exchange?.onReply({ status: 0, reason: connection.failure });
    if (this.#waiting.size > 0 && this.#all.size < this.#options.maxConnections) {
      const next = this.#nextWaiting();
      if (next !== undefined) this.#open().start(next);
    }
  }
}

type Events = {
  free(connection: Connection): void;
  gone(connection: Connection, exchange: Exchange | undefined): void;
};

type Address = { host: string; port: number; tls: SecureContext | undefined; buffer: Buffer };

class Connection {
  idleSinceMs = 0;
  readonly #socket: Socket;
  readonly #events: Events;
  #exchange: Exchange | undefined;
  #text = '';
  #failure = 'connection lost';

  constructor(to: Address, events: Events) {
    this.#events = events;
    this.#socket = to.tls === undefined ? this.#plain(to) : this.#secure(to);
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure = error.code ?? 'connection lost';
    });
    this.#socket.on('end', () => this.#received('', true));
    this.#socket.on('close', () => {
      const exchange = this.#exchange;
      this.#exchange = undefined;
      this.#events.gone(this, exchange);
    });
  }

  #plain({ host, port, buffer }: Address): Socket {
    const callback = (size: number, bytes: Uint8Array): boolean => {
      this.#received((bytes as Buffer).toString('latin1', 0, size));
      return true;
    };
    return connect({ host, port, noDelay: true, onread: { buffer, callback } });
  }

  #secure({ host, port, tls }: Address): Socket {
    const servername = isIP(host) === 0 ? host : '';
    const socket = connectTls({ host, port, servername, secureContext: tls, ALPNProtocols: ['http/1.1'] });
    socket.setNoDelay(true);
    return socket.on('data', (bytes: Buffer) => this.#received(bytes.toString('latin1')));
  }

  get failure(): string {
    return this.#failure;
  }

  start(exchange: Exchange): void {
    this.#exchange = exchange;
    exchange.connection = this;
    this.#text = '';
    this.#socket.write(exchange.request, exchange.encoding);
  }

  abandon(exchange: Exchange): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    this.#socket.destroy();
  }

  destroy(): void {
    this.#exchange = undefined;
    this.#socket.destroy();
  }

  #received(piece: string, ended = false): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.#socket.destroy(); // an idle connection that speaks or ends is of no use
      return;
    }
    this.#text = this.#text === '' ? piece : this.#text + piece;
    const response = readResponse(this.#text, ended);
    if (response === 'incomplete') {
      if (ended) this.#socket.destroy();
      return;
    }
    this.#exchange = undefined;
    this.#text = '';
    if (response === 'malformed') {
      this.#socket.destroy();
      exchange.onReply({ status: 0, reason: 'malformed response' });
      return;
    }
    if (response.closes) this.#socket.destroy();
    else this.#events.free(this);
    exchange.onReply(response);
  }
}
