import { crc32 } from 'node:zlib';

/** A kept value. Times are ms since the epoch: an entry outlives the process that wrote it. */
export type Entry = { value: Uint8Array; storedMs: number; ttlMs: number };

/** Header, little-endian: version (1 byte), CRC-32 of key, rest of the header and value (4), storedMs as FP64 (8), ttlMs (4). */
const VERSION = 1;
const CHECKSUM_AT = 1;
const STORED_AT = 5;
const TTL_AT = 13;
const HEADER_BYTES = 17;

/** What stands in Redis under `key`. The key is part of the checksum, so that a value in the wrong place is seen. */
export function encodeEntry(key: string, { value, storedMs, ttlMs }: Entry): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + value.byteLength);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeDoubleLE(storedMs, STORED_AT);
  bytes.writeUInt32LE(ttlMs, TTL_AT);
  bytes.set(value, HEADER_BYTES);
  bytes.writeUInt32LE(checksum(key, bytes), CHECKSUM_AT);
  return bytes;
}

/** @returns The entry, its value a view into `bytes`; undefined for anything that `encodeEntry` did not write for this key. */
export function decodeEntry(key: string, bytes: Buffer): Entry | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt8(0) !== VERSION) return undefined;
  if (bytes.readUInt32LE(CHECKSUM_AT) !== checksum(key, bytes)) return undefined;
  return {
    value: bytes.subarray(HEADER_BYTES),
    storedMs: bytes.readDoubleLE(STORED_AT),
    ttlMs: bytes.readUInt32LE(TTL_AT),
  };
}

const checksum = (key: string, bytes: Buffer): number => crc32(bytes.subarray(STORED_AT), crc32(key));

/** Age in ms, never negative: the clock of the host that wrote it may be ahead. */
export const ageMs = (entry: Entry, epochMs: number): number => Math.max(0, epochMs - entry.storedMs);

/** What is left of its time, ms ≤ ttlMs; 0 or less: it is over. */
export const remainingMs = (entry: Entry, epochMs: number): number => entry.ttlMs - ageMs(entry, epochMs);
