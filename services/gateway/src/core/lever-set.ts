import type { Lever } from '@spillway/contracts/buckets';
import { isTrafficClass } from '@spillway/contracts/classes';
import { isName } from '@spillway/contracts/names';

const isTime = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);

/** What a bucket holds, if it is a lever; undefined otherwise: what is not understood is not done. */
export function readLever(id: string, value: unknown): Lever | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const lever = value as Lever;
  const { model, tenant } = lever;
  const isScoped =
    (model === undefined || isName(model)) &&
    (tenant === undefined || isName(tenant)) &&
    (lever.class === undefined || isTrafficClass(lever.class));
  if (lever.id !== id || !isTime(lever.createdAt) || !isTime(lever.expiresAt) || !isScoped) return undefined;
  if (lever.kind === 'degrade') return isName(lever.to ?? '') ? lever : undefined;
  if (lever.kind !== 'brake') return undefined;
  const { rate, share } = lever;
  if (rate !== undefined && share === undefined) return rate >= 0 && Number.isFinite(rate) ? lever : undefined;
  return share !== undefined && rate === undefined && share >= 0 && share <= 1 ? lever : undefined;
}

/** The levers that are pulled, until each one's own end. Times in epoch ms, since people on other machines set them. */
export class LeverSet {
  readonly #byId = new Map<string, Lever>();

  put(lever: Lever): void {
    this.#byId.set(lever.id, lever);
  }

  remove(id: string): void {
    this.#byId.delete(id);
  }

  active(epochMs: number): Lever[] {
    return [...this.#byId.values()].filter(({ expiresAt }) => expiresAt > epochMs);
  }

  /** Those that are over, once. */
  takeExpired(epochMs: number): Lever[] {
    const over = [...this.#byId.values()].filter(({ expiresAt }) => expiresAt <= epochMs);
    for (const { id } of over) this.#byId.delete(id);
    return over;
  }

  /** When the next one ends; undefined: none is there. */
  nextEndAt(): number | undefined {
    const ends = [...this.#byId.values()].map(({ expiresAt }) => expiresAt);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }
}
