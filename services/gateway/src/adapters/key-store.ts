import { readFileSync } from 'node:fs';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { type KeyRecord, KeyRing } from '../core/identity.ts';

/**
 * Reads `{"keys": [...]}`.
 * @throws SpillwayError `INVALID_REQUEST` when the file cannot be read or a record is wrong; the service does not start.
 */
export function loadKeys(file: string, options: { allowAnonymous: boolean; epochMs: () => number }): KeyRing {
  if (file === '') return new KeyRing([], options);
  let parsed: { keys?: KeyRecord[] };
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8')) as { keys?: KeyRecord[] };
  } catch (cause) {
    throw new SpillwayError('INVALID_REQUEST', 'GATEWAY_KEYS_FILE: expected a readable JSON file', { cause });
  }
  if (!Array.isArray(parsed.keys))
    throw new SpillwayError('INVALID_REQUEST', 'GATEWAY_KEYS_FILE: expected {"keys": [...]}');
  return new KeyRing(parsed.keys, options);
}
