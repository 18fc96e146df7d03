import type { KeyRecord } from '@spillway/contracts/buckets';
import { familyOf } from '@spillway/contracts/keys';
import { CliError } from '../context.ts';

/** `next` has no secret yet; `old` ends when the overlap does, or when it would have ended anyway. */
export type Rotation = { old: KeyRecord; next: Omit<KeyRecord, 'sha256'> };

/**
 * A successor for a key: everything of its record but id and secret, and the same family, so that both draw on one quota. It lives as
 * long as the old one was given, counted from now.
 * @param lifeMs Another life. Undefined: as the old one's.
 * @throws CliError when the key has ended, or has a successor already.
 */
export function rotate(
  old: KeyRecord,
  others: Iterable<KeyRecord>,
  options: { id: string; overlapMs: number; lifeMs: number | undefined; epochMs: number },
): Rotation {
  const { id, overlapMs, epochMs } = options;
  if ((old.expiresAt ?? Number.POSITIVE_INFINITY) <= epochMs)
    throw new CliError(`the key "${old.id}" has expired`, ['Make another one: ./spillway keys create']);
  const family = familyOf(old);
  const [newest = old] = [...others]
    .filter((other) => familyOf(other) === family)
    .sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0));
  if (newest.id !== old.id) {
    throw new CliError(`the key "${old.id}" was rotated to "${newest.id}" already`, [
      `Rotate the newest one: ./spillway keys rotate ${newest.id}`,
    ]);
  }
  const { sha256: _, expiresAt: endsAt = Number.POSITIVE_INFINITY, ...kept } = old;
  const expiresAt = epochMs + (options.lifeMs ?? endsAt - (old.createdAt ?? epochMs));
  const next = { ...kept, id, family, createdAt: epochMs, ...(Number.isFinite(expiresAt) && { expiresAt }) };
  return { old: { ...old, expiresAt: Math.min(endsAt, epochMs + overlapMs) }, next };
}
