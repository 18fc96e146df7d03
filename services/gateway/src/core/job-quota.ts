import { CLASSES, classRank } from '@spillway/contracts/classes';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Admission } from './admission/admission.ts';
import { overloadHintMs } from './admission/retry-after.ts';
import type { InferRequest } from './request.ts';

/**
 * What durable jobs take of their key's quota. Nothing else of admission applies to them: they run when there is room, and without
 * the quota a key could have as much of that room as it can fill. Beyond it a call is refused, and an event, which was accepted, waits
 * in its stream until a slot of the quota is free; or either goes on one class lower, as the key says.
 */
export class JobQuota {
  readonly #admission: Pick<Admission, 'quotaOf' | 'imsOf'>;
  readonly #random: () => number;

  constructor(admission: Pick<Admission, 'quotaOf' | 'imsOf'>, random: () => number) {
    this.#admission = admission;
    this.#random = random;
  }

  /** Before anything is fetched for it; charges nothing. @throws SpillwayError `QUOTA_EXCEEDED` with the time of its slot. */
  check({ keyId }: InferRequest, nowMs: number): void {
    const quota = this.#admission.quotaOf(keyId);
    if (quota === undefined) return;
    quota.onOffered();
    if (quota.isUsedUp(nowMs) && !quota.lowers) throw this.#beyond(quota.nextFreeMs(nowMs) - nowMs);
  }

  /**
   * Charges a request that is about to become a job, or lowers its class.
   * @param cost In the unit of the model's `cost` rule.
   * @returns Gives back what was charged: it did not become one.
   * @throws SpillwayError `QUOTA_EXCEEDED` when others have used up the quota since it was checked.
   */
  charge(request: InferRequest, cost: number, nowMs: number): () => void {
    const quota = this.#admission.quotaOf(request.keyId);
    if (quota === undefined) return () => undefined;
    if (quota.isUsedUp(nowMs)) {
      if (!quota.lowers) throw this.#beyond(quota.nextFreeMs(nowMs) - nowMs);
      request.trafficClass = CLASSES[quota.lowered(classRank(request.trafficClass))]!;
      return () => undefined; // what goes on one class lower is not on its quota
    }
    const costIms = this.#admission.imsOf(request.model, cost);
    quota.charge(costIms);
    return () => quota.giveBack(costIms);
  }

  #beyond(waitMs: number): SpillwayError {
    return SpillwayError.refusal('QUOTA_EXCEEDED', 'the quota of this tenant is used up', {
      reason: 'quota',
      retryAfterMs: overloadHintMs(waitMs, this.#random),
    });
  }
}
