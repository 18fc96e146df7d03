import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { ALL_LOAD } from '@spillway/contracts/subjects';

const LOAD = ALL_LOAD.slice(0, -1);
const LINE_END = Buffer.from('\r\n');

/** Between services and the bus: what they hear of each other's load comes late, or not at all. Everything else passes at once. */
export type BusRelay = AsyncDisposable & {
  readonly url: string;
  /** Where the bus is; to be set before the first connection. */
  target: string;
  delayMs: number;
  silent: boolean;
};

/** Splits what the server sends into messages of the NATS protocol: a line, and after MSG and HMSG a payload. */
class ServerMessages {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<{ subject: string; bytes: Buffer }> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const lineEnd = this.#rest.indexOf(LINE_END);
      if (lineEnd === -1) return;
      const words = this.#rest.toString('latin1', 0, lineEnd).split(' ');
      const hasPayload = words[0] === 'MSG' || words[0] === 'HMSG';
      const payload = hasPayload ? Number(words.at(-1)) + LINE_END.length : 0;
      const end = lineEnd + LINE_END.length + payload;
      if (this.#rest.length < end) return;
      const bytes = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end);
      yield { subject: hasPayload ? (words[1] ?? '') : '', bytes };
    }
  }
}

/** Listens on a free port of loopback. */
export async function startBusRelay(): Promise<BusRelay> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const { hostname, port } = new URL(relay.target);
    const bus = connect({ host: hostname, port: Number(port), noDelay: true });
    client.setNoDelay(true);
    const messages = new ServerMessages();
    client.pipe(bus);
    bus.on('data', (chunk) => {
      for (const { subject, bytes } of messages.push(chunk)) {
        const isLoad = subject.startsWith(LOAD);
        if (!isLoad) client.write(bytes);
        else if (relay.silent) continue;
        else if (relay.delayMs > 0) setTimeout(() => client.write(bytes), relay.delayMs);
        else client.write(bytes);
      }
    });
    for (const socket of [client, bus]) {
      sockets.add(socket);
      const end = (): void => {
        client.destroy();
        bus.destroy();
        sockets.delete(socket);
      };
      socket.on('close', end);
      socket.on('error', end);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay: BusRelay = {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target: '',
    delayMs: 0,
    silent: false,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return relay;
}
