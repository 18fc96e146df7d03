import { readFileSync } from 'node:fs';
import type { Bus } from '@spillway/bus/bus';
import { type BucketWatch, openBucket } from '@spillway/bus/kv';
import { ConfigError } from '@spillway/config/config-error';
import { KEYS, type KeyRecord } from '@spillway/contracts/buckets';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { checkKeyRecord, KeyRing } from '../core/identity.ts';

/**
 * Reads `{"keys": [...]}`.
 * @throws ConfigError when the file cannot be read or a record is wrong; the service does not start.
 */
export function loadKeys(file: string, options: { allowAnonymous: boolean; epochMs: () => number }): KeyRing {
  if (file === '') return new KeyRing([], options);
  let parsed: { keys?: unknown[] };
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8')) as { keys?: unknown[] };
  } catch (cause) {
    throw fault(`expected a readable JSON file, got ${file}`, cause);
  }
  if (!Array.isArray(parsed.keys)) throw fault('expected {"keys": [...]}');
  try {
    return new KeyRing(parsed.keys, options);
  } catch (cause) {
    throw fault(SpillwayError.from(cause).message, cause);
  }
}

const fault = (text: string, cause?: unknown): ConfigError =>
  new ConfigError('gateway', [{ subject: 'GATEWAY_KEYS_FILE', text }], { cause });

export type KeyListener = {
  /** A record is new or has changed. It has been checked. */
  onKey(record: KeyRecord): void;
  onGone(id: string): void;
  /** A record that cannot be understood counts as gone. */
  onFault?(id: string, error: SpillwayError): void;
};

/** The records of the bucket, and each change of them as it is made. While the bus is away the last ones stay. */
export function watchKeys(bus: Bus, listener: KeyListener): BucketWatch {
  return openBucket<unknown>(bus, KEYS).watch((id, value) => {
    const record = value === undefined ? undefined : readRecord(id, value);
    if (record instanceof SpillwayError) listener.onFault?.(id, record);
    if (record === undefined || record instanceof SpillwayError) listener.onGone(id);
    else listener.onKey(record);
  });
}

function readRecord(id: string, value: unknown): KeyRecord | SpillwayError {
  try {
    const record = checkKeyRecord(value, id);
    if (record.id !== id) throw new SpillwayError('INVALID_REQUEST', `${id}.id: expected the id of its entry`);
    return record;
  } catch (thrown) {
    return SpillwayError.from(thrown);
  }
}
