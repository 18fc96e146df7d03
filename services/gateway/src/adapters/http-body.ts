import type { IncomingMessage } from 'node:http';
import { gunzip, inflate } from 'node:zlib';
import { SpillwayError } from '@spillway/errors/spillway-error';

/** What a body may be compressed with; also the value of `accept-encoding` where it is not. */
export const ACCEPTED_ENCODINGS = 'gzip, deflate';
/** Of the error that answers another encoding. */
export const ENCODING_REASON = 'content_encoding';

const tooLarge = (maxBytes: number, what = ''): SpillwayError =>
  new SpillwayError('PAYLOAD_TOO_LARGE', `body: expected at most ${maxBytes} bytes${what}`, {
    reason: 'max_body_bytes',
  });

type Done = (body: Buffer | SpillwayError) => void;

/**
 * Reads a body of at most `maxBytes`: by the declared length before the first byte, by the running size where none is
 * declared, and by the running size of what comes out of a compressed one. `done` is called once, and not at all when the client
 * leaves before the end.
 */
export function readBody(request: IncomingMessage, maxBytes: number, done: Done): void {
  const encoding = request.headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') {
    readPlain(request, maxBytes, done);
    return;
  }
  const decode = DECODERS[encoding.trim().toLowerCase()];
  if (decode === undefined) {
    const expected = `content-encoding: expected ${ACCEPTED_ENCODINGS} or none`;
    done(new SpillwayError('INVALID_REQUEST', expected, { reason: ENCODING_REASON }));
    return;
  }
  readPlain(request, maxBytes, (body) => {
    if (body instanceof SpillwayError) done(body);
    else decode(body, maxBytes, done);
  });
}

/**
 * Bodies that are decoded at once; the others wait as they came. A few kilobytes may grow to the limit, so that many at once would be
 * gigabytes; and the pool that decodes has four threads.
 */
const MAX_DECODING = 4;
const waiting: (() => void)[] = [];
let decoding = 0;

function inTurn(start: () => void): void {
  if (decoding < MAX_DECODING) {
    decoding += 1;
    start();
  } else waiting.push(start);
}

/** The next one begins in the place of one that has ended. */
function endTurn(): void {
  const next = waiting.shift();
  if (next === undefined) decoding -= 1;
  else next();
}

/** Decoding runs beside the loop and ends as soon as more than `maxBytes` have come out. */
function decoder(unpack: typeof gunzip, name: string): (body: Buffer, maxBytes: number, done: Done) => void {
  return (body, maxBytes, done) =>
    inTurn(() =>
      unpack(body, { maxOutputLength: maxBytes }, (fault, decoded) => {
        endTurn();
        if (fault === null) done(decoded);
        else if ((fault as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') done(tooLarge(maxBytes, ' decoded'));
        else done(new SpillwayError('INVALID_REQUEST', `body: expected ${name}, as its content-encoding says`));
      }),
    );
}

const DECODERS: Record<string, ReturnType<typeof decoder> | undefined> = Object.assign(Object.create(null), {
  gzip: decoder(gunzip, 'gzip'),
  'x-gzip': decoder(gunzip, 'gzip'),
  deflate: decoder(inflate, 'deflate (the zlib format)'),
});

function readPlain(request: IncomingMessage, maxBytes: number, done: Done): void {
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
