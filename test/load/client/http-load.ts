import { connect, type Socket } from 'node:net';
import { Histogram } from '@spillway/load/histogram';
import { type Inputs, oipBinaryBody, oipBody } from './inputs.ts';
import { type LoadResult, Tally } from './tally.ts';

export type HttpLoad = {
  port: number;
  path: string;
  connections: number;
  /** Measured time; the warm-up before it is not. */
  seconds: number;
  warmUpSeconds: number;
  headers: Record<string, string>;
  /** Tensors as bytes behind the JSON, both ways. */
  binary: boolean;
};

function requestsOf(inputs: Inputs, load: HttpLoad): Buffer[] {
  const extra = Object.entries(load.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const type = load.binary ? 'application/octet-stream' : 'application/json';
  const head = `POST ${load.path} HTTP/1.1\r\nhost: 127.0.0.1:${load.port}\r\ncontent-type: ${type}\r\n${extra.join('')}`;
  return Array.from({ length: inputs.count }, (_, index) => {
    if (load.binary) {
      const { headerLength, body } = oipBinaryBody(inputs, index);
      const lengths = `inference-header-content-length: ${headerLength}\r\ncontent-length: ${body.byteLength}\r\n\r\n`;
      return Buffer.concat([Buffer.from(head + lengths, 'latin1'), body]);
    }
    const body = oipBody(inputs, index);
    return Buffer.from(`${head}content-length: ${body.length}\r\n\r\n${body}`, 'latin1');
  });
}

/**
 * Closed loop over keep-alive connections of raw sockets: each sends its next request when its answer has come. Every
 * answer is compared. Costs about 15 µs of CPU a request, so the client is not what is measured.
 */
export async function runHttpLoad(load: HttpLoad, inputs: Inputs): Promise<LoadResult> {
  const requests = requestsOf(inputs, load);
  const startMs = performance.now() + load.warmUpSeconds * 1_000;
  const endMs = startMs + load.seconds * 1_000;
  const tally = new Tally(inputs.expected, startMs, endMs, new Histogram());
  let next = 0;
  const buffer = Buffer.allocUnsafeSlow(64 * 1024); // shared: an answer is read before the next read begins

  const runConnection = (): Promise<void> =>
    new Promise((resolve) => {
      let index = 0;
      let sentMs = 0;
      let text = '';
      let socket: Socket;
      let leaving = false; // the server said `connection: close`
      const send = (): void => {
        sentMs = performance.now();
        if (sentMs >= endMs) {
          socket.destroy();
          resolve();
          return;
        }
        index = next;
        next = next + 1 === inputs.count ? 0 : next + 1;
        text = '';
        socket.write(requests[index] as Buffer);
      };
      const onData = (size: number, bytes: Uint8Array): boolean => {
        const piece = (bytes as Buffer).toString('latin1', 0, size);
        text = text === '' ? piece : text + piece;
        const bodyAt = text.indexOf('\r\n\r\n') + 4;
        if (bodyAt === 3) return true;
        const lengthAt = text.indexOf('ontent-length: '); // nobody agrees on its first letter
        const total = bodyAt + (lengthAt === -1 ? 0 : Number.parseInt(text.slice(lengthAt + 15, lengthAt + 24), 10));
        if (text.length < total) return true;
        tally.answered(index, sentMs, text, load.binary ? 'binary' : bodyAt);
        leaving = text.lastIndexOf('onnection: close', bodyAt) !== -1;
        if (leaving) socket.destroy();
        else send();
        return true;
      };
      const open = (): void => {
        socket = connect({
          port: load.port,
          host: '127.0.0.1',
          noDelay: true,
          onread: { buffer, callback: onData },
        });
        socket.once('connect', send);
        socket.once('error', () => undefined); // `close` follows
        socket.once('close', () => {
          if (performance.now() >= endMs) {
            resolve();
            return;
          }
          if (!leaving) tally.failed('connection lost');
          setTimeout(open, leaving ? 0 : 20);
          leaving = false;
        });
      };
      open();
    });

  const cpu = process.cpuUsage();
  await Promise.all(Array.from({ length: load.connections }, runConnection));
  const used = process.cpuUsage(cpu);
  return tally.result((used.user + used.system) / 1e6);
}
