import { randomBytes } from 'node:crypto';

/** Crockford's base32 in lower case: no letter that is taken for a digit, safe in subjects, keys, paths and labels. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Five random bits a character. */
const randomBase32 = (length: number): string =>
  Array.from(randomBytes(length), (byte) => ALPHABET[byte % 32]).join('');

/** Leaves room for the suffix within the allowlist's 64 characters. */
const SERVICE_PATTERN = /^[A-Za-z0-9_-]{1,55}$/;

/** Name of one life of one process, `batcher-4k7q2m9x`. Unique by 40 random bits among the instances of a service. */
export function newInstanceId(service: string): string {
  if (!SERVICE_PATTERN.test(service)) throw new Error(`bug: expected 1 to 55 letters, digits, "_" or "-" as service`);
  return `${service}-${randomBase32(8)}`;
}

/**
 * Ids of requests for the hot path: 50 random bits per process, then a counter, so that the next one costs no entropy.
 * At most 23 characters, all within the allowlist.
 */
export class RequestIds {
  readonly #prefix = `${randomBase32(10)}-`;
  #count = 0;

  next(): string {
    this.#count += 1;
    return this.#prefix + this.#count.toString(36);
  }
}
