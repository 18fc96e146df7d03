import { guardHintMs, outageHintMs, overloadHintMs } from './retry-after.ts';
import type { Decision, Reason } from './types.ts';

/** The one decision that is filled in again for every request: nothing is allocated on the hot path. */
export class Answers {
  readonly #random: () => number;
  readonly #decision: Decision = {
    rung: 'run',
    variant: '',
    rank: 0,
    costIms: 0,
    code: '',
    reason: '',
    retryAfterMs: 0,
    predictedWaitMs: 0,
    predictedFinishMs: 0,
  };

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Runs, with nothing known yet. */
  run(rank: number): Decision {
    const decision = this.#decision;
    decision.rung = 'run';
    decision.variant = '';
    decision.rank = rank;
    decision.costIms = 0;
    decision.code = '';
    decision.reason = '';
    decision.retryAfterMs = 0;
    decision.predictedWaitMs = 0;
    decision.predictedFinishMs = 0;
    return decision;
  }

  /** @param waitMs Until the knob would let it through. */
  refused(rank: number, reason: Reason, waitMs: number): Decision {
    const decision = this.run(rank);
    decision.rung = 'refused';
    decision.code = reason === 'quota' ? 'QUOTA_EXCEEDED' : 'OVERLOADED';
    decision.reason = reason;
    decision.retryAfterMs = reason === 'gateway_cpu' ? guardHintMs(this.#random) : overloadHintMs(waitMs, this.#random);
    return decision;
  }

  unavailable(rank: number, awayMs: number): Decision {
    const decision = this.refused(rank, 'bus', 0);
    decision.code = 'UNAVAILABLE';
    decision.retryAfterMs = outageHintMs(awayMs, this.#random);
    return decision;
  }
}
