/** What an answer may be compressed with. */
export type Encoding = 'gzip' | 'deflate';

const NEVER = /;\s*q=0(\.0{0,3})?\s*$/;

/**
 * The compression that a client asks for by `accept-encoding`, gzip before deflate; undefined: none. `*` asks for nothing by name, and
 * `q=0` forbids.
 */
export function acceptedEncoding(header: string): Encoding | undefined {
  let deflate = false;
  for (const part of header.toLowerCase().split(',')) {
    const name = part.split(';', 1)[0]?.trim();
    if (NEVER.test(part)) continue;
    if (name === 'gzip') return 'gzip';
    if (name === 'deflate') deflate = true;
  }
  return deflate ? 'deflate' : undefined;
}
