import type { Admission } from './admission.ts';
import { Answers } from './answers.ts';
import type { Decision } from './types.ts';

/**
 * What durable jobs take of their key's quota. Nothing else of admission applies to them: they run when there is room. Without the
 * quota a key could have as much of that room as it can fill.
 */
export class JobQuota {
  readonly #admission: Pick<Admission, 'quotaOf' | 'imsOf'>;
  readonly #answers: Answers;

  constructor(admission: Pick<Admission, 'quotaOf' | 'imsOf'>, random: () => number) {
    this.#admission = admission;
    this.#answers = new Answers(random);
  }

  /**
   * Whether a job of this key may be taken now. Beyond its quota it is refused, or goes on one class lower and is not on it. The
   * answer is valid until the next question.
   */
  decide(keyId: string, rank: number, nowMs: number): Decision {
    const key = this.#admission.quotaOf(keyId);
    key?.onOffered();
    if (key?.isUsedUp(nowMs) !== true) return this.#answers.run(rank);
    if (key.lowers) return this.#answers.run(key.lowered(rank));
    return this.#answers.refused(rank, 'quota', key.nextFreeMs(nowMs) - nowMs);
  }

  /** Whether the key has any of its quota left, for jobs that are taken all the same. */
  hasAny(keyId: string, nowMs: number): boolean {
    const key = this.#admission.quotaOf(keyId);
    key?.onOffered();
    return key?.isUsedUp(nowMs) !== true;
  }

  /** A job was taken. @param cost As its `WorkItem` has it. */
  charge(keyId: string, model: string, cost: number): void {
    this.#admission.quotaOf(keyId)?.charge(this.#admission.imsOf(model, cost));
  }
}
