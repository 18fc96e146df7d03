/** What a put must fulfil to be kept. */
export type KeepRules = {
  maxValueBytes: number;
  /** Longest time that anything is kept, stale or not. */
  maxTtlMs: number;
  /** Times to live are spread by this share either way, so that what was written together does not end together. */
  jitter: number;
  /** From 0 to 1. */
  random: () => number;
};

export type KeepRefusal = 'key' | 'ttl' | 'too_large';

/** SHA-256 or an HMAC of it: the cache never sees what the key was made of. */
export const KEY_BYTES = 32;

export const isKey = (key: Uint8Array): boolean => key.byteLength === KEY_BYTES;

/** Lower-case hex: what stands in Redis and in the memory tier. */
export const hexKey = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex');

/** How long a value is kept, or why it is not. */
export function keepFor(
  put: { key: Uint8Array; value: Uint8Array; ttlMs: number; staleMs?: number },
  { maxValueBytes, maxTtlMs, jitter, random }: KeepRules,
): { ttlMs: number; staleMs: number } | { refused: KeepRefusal } {
  if (!isKey(put.key)) return { refused: 'key' };
  if (put.ttlMs <= 0) return { refused: 'ttl' };
  if (put.value.byteLength > maxValueBytes) return { refused: 'too_large' };
  const spread = 1 + jitter * (2 * random() - 1);
  const ttlMs = Math.max(1, Math.round(Math.min(put.ttlMs, maxTtlMs) * spread));
  return { ttlMs, staleMs: Math.max(0, Math.min(put.staleMs ?? 0, maxTtlMs - ttlMs)) };
}
