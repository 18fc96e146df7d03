import type { IncomingMessage } from 'node:http';
import { SpillwayError } from '@spillway/errors/spillway-error';

const tooLarge = (maxBytes: number): SpillwayError =>
  new SpillwayError('PAYLOAD_TOO_LARGE', `body: expected at most ${maxBytes} bytes`, { reason: 'max_body_bytes' });

/**
 * Reads a body of at most `maxBytes`: by the declared length before the first byte, by the running size where none is
 * declared. `done` is called once, and not at all when the client leaves before the end.
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  done: (body: Buffer | SpillwayError) => void,
): void {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    done(new SpillwayError('UNSUPPORTED_MEDIA', 'content-encoding: expected none: compressed bodies are not served'));
    return;
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
    done(tooLarge(maxBytes));
    return;
  }
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let size = 0;
  let ended = false;
  request.on('data', (chunk: Buffer) => {
    if (ended) return;
    size += chunk.length;
    if (size > maxBytes) {
      ended = true;
      done(tooLarge(maxBytes));
    } else if (first === undefined) first = chunk;
    else if (more === undefined) more = [first, chunk];
    else more.push(chunk);
  });
  request.on('end', () => {
    if (ended) return;
    ended = true;
    done(more === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(more));
  });
}
