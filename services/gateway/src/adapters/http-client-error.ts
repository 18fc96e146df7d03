import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toOip } from '@spillway/errors/to-oip';

/** What Node's parser says of bytes that are no request, and the status for it where 400 says too little. */
const KNOWN: Record<string, { status: number; text: string } | undefined> = {
  HPE_HEADER_OVERFLOW: { status: 431, text: 'headers: expected fewer or shorter ones' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, text: 'expected the whole request in time' },
};

/** Answers what never became a request in the form of every other failure, and closes: where the next one would begin nobody knows. */
export function answerClientError(fault: NodeJS.ErrnoException, socket: Socket): void {
  if (fault.code === 'ECONNRESET' || socket.destroyed) return;
  const { status, text } = KNOWN[fault.code ?? ''] ?? { status: 400, text: 'expected an HTTP/1.1 request' };
  const { body, headers } = toOip(new SpillwayError('INVALID_REQUEST', text));
  const json = JSON.stringify(body);
  const all = { ...headers, 'content-type': 'application/json', 'content-length': json.length, connection: 'close' };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  if (socket.writable)
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}\r\n\r\n${json}`);
  socket.destroySoon();
}
