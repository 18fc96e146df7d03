import { hash } from 'node:crypto';
import { HEADERS } from '@spillway/contracts/headers';
import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';

/** RFC 4648 in lower case: publishers can compute the id with what their language has. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const MAX_KEY_CHARACTERS = 255;
const HASH_BYTES = 20; // 160 bits: 32 characters, without padding

function base32(bytes: Uint8Array): string {
  let text = '';
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(value >>> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return text;
}

/**
 * The id of the job that an event becomes, the same at every delivery: what the publisher asked for, if it passes the allowlist;
 * else base32 of the first 20 bytes of SHA-256(tenant, line feed, message id), so that a publisher who repeats itself gets one
 * job; else the event's place in its stream. The message id is `Nats-Msg-Id`, else of a CloudEvent its `source`, a line feed, its
 * `id`. `isNamed`: not the last of these.
 */
export function jobIdOf(event: {
  tenant: string;
  asked: string | undefined;
  msgId: string | undefined;
  streamSeq: number;
}): { id: string; isNamed: boolean } {
  const { tenant, asked, msgId, streamSeq } = event;
  if (asked !== undefined && isName(asked)) return { id: asked, isNamed: true };
  if (msgId === undefined) return { id: `e-${streamSeq}`, isNamed: false };
  return { id: base32(hash('sha256', `${tenant}\n${msgId}`, 'buffer').subarray(0, HASH_BYTES)), isNamed: true };
}

/**
 * The id of the job that a request at a door becomes. With an idempotency key it is the same whenever the tenant repeats it for the
 * model: base32 of the first 20 bytes of SHA-256(tenant, line feed, model, line feed, key); else `unique` makes it its own.
 * @param key As it came, bare or quoted. @throws SpillwayError `INVALID_REQUEST`.
 */
export function requestJobId(of: { tenant: string; model: string; unique: string; key: string | undefined }): string {
  const { tenant, model, unique, key } = of;
  if (key === undefined) return `j-${unique}`;
  const bare = /^"(.*)"$/.exec(key)?.[1] ?? key;
  if (bare === '' || bare.length > MAX_KEY_CHARACTERS) {
    throw new SpillwayError(
      'INVALID_REQUEST',
      `${HEADERS.idempotencyKey}: expected 1 to ${MAX_KEY_CHARACTERS} characters`,
    );
  }
  return base32(hash('sha256', `${tenant}\n${model}\n${bare}`, 'buffer').subarray(0, HASH_BYTES));
}
