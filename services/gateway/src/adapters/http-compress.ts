import { constants, deflate, gzip } from 'node:zlib';
import type { Encoding } from '../core/accept-encoding.ts';

/** Below it a compressed answer saves no packet and costs more than it saves. */
export const MIN_COMPRESSED_BYTES = 1_024;

/** Of all levels the fastest: it takes a third of the time of zlib's usual one, and most of what can be saved. */
const OPTIONS = { level: constants.Z_BEST_SPEED };

/** Compresses an answer beside the loop. `done` gets undefined where that failed: the answer then leaves as it is. */
export function compress(
  body: string | Buffer,
  encoding: Encoding,
  done: (compressed: Buffer | undefined) => void,
): void {
  const pack = encoding === 'gzip' ? gzip : deflate;
  pack(body, OPTIONS, (fault, compressed) => done(fault === null ? compressed : undefined));
}
