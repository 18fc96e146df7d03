import { crc32 } from 'node:zlib';

/**
 * A kept value. Times are ms since the epoch: an entry outlives the process that wrote it. After `ttlMs` it is stale, and kept
 * for another `staleMs`.
 */
export type Entry = { value: Uint8Array; storedMs: number; ttlMs: number; staleMs: number };

/**
 * Header, little-endian: version (1 byte), CRC-32 of key, rest of the header and value (4), storedMs as FP64 (8), ttlMs (4),
 * staleMs (4). Version 1, which a Redis may still hold, had no staleMs.
 */
const VERSION = 2;
const CHECKSUM_AT = 1;
const STORED_AT = 5;
const TTL_AT = 13;
const STALE_AT = 17;
const HEADER_BYTES = 21;

/** What stands in Redis under `key`. The key is part of the checksum, so that a value in the wrong place is seen. */
export function encodeEntry(key: string, { value, storedMs, ttlMs, staleMs }: Entry): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + value.byteLength);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeDoubleLE(storedMs, STORED_AT);
  bytes.writeUInt32LE(ttlMs, TTL_AT);
  bytes.writeUInt32LE(staleMs, STALE_AT);
  bytes.set(value, HEADER_BYTES);
  bytes.writeUInt32LE(checksum(key, bytes), CHECKSUM_AT);
  return bytes;
}

/** @returns The entry, its value a view into `bytes`; undefined for anything that `encodeEntry` did not write for this key. */
export function decodeEntry(key: string, bytes: Buffer): Entry | undefined {
  const version = bytes.length > 0 ? bytes.readUInt8(0) : 0;
  const headerBytes = version === VERSION ? HEADER_BYTES : STALE_AT;
  if (version < 1 || version > VERSION || bytes.length < headerBytes) return undefined;
  if (bytes.readUInt32LE(CHECKSUM_AT) !== checksum(key, bytes)) return undefined;
  return {
    value: bytes.subarray(headerBytes),
    storedMs: bytes.readDoubleLE(STORED_AT),
    ttlMs: bytes.readUInt32LE(TTL_AT),
    staleMs: version === VERSION ? bytes.readUInt32LE(STALE_AT) : 0,
  };
}

const checksum = (key: string, bytes: Buffer): number => crc32(bytes.subarray(STORED_AT), crc32(key));

/** Age in ms, never negative: the clock of the host that wrote it may be ahead. */
export const ageMs = (entry: Entry, epochMs: number): number => Math.max(0, epochMs - entry.storedMs);

/** Its time is over. */
export const isStale = (entry: Entry, epochMs: number): boolean => ageMs(entry, epochMs) >= entry.ttlMs;

/** How much longer it is kept, ms ≤ ttlMs + staleMs; 0 or less: it is gone. */
export const remainingMs = (entry: Entry, epochMs: number): number =>
  entry.ttlMs + entry.staleMs - ageMs(entry, epochMs);
