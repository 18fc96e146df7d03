import type { ModelAdmission } from './model-admission.ts';
import { nextSlot, overloadHintMs } from './retry-after.ts';
import type { Mechanism } from './settings.ts';
import type { TenantWeights } from './tenant-weights.ts';
import type { Candidate, Decision, Reason } from './types.ts';

/** A wait that a person would not notice is no wait: the batch was simply forming. */
const WAITED_MS = 5;
/** With less than this ahead, and half of the instances free, nothing is predicted: the request simply goes. */
const QUIET_MS = 1;
const QUIET_SHARE = 0.5;
const BULK = 2;

/** A request whose body was not read stands for a mean one. */
type Mean = Pick<Candidate, 'tenant' | 'budgetMs' | 'rows'>;

/** What is known beside the model. */
export type Around = {
  lagMs: number;
  /** A person on call has set the variant; undefined: nobody has. */
  forced: string | undefined;
  weights: TenantWeights;
  ticketsOpen: boolean;
};

/**
 * The last steps for a request that may use the model at all: G3 and G4, and the rungs between running and refusing. Each rung is
 * asked the same questions, with its own cost.
 */
export class Ladder {
  readonly #random: () => number;
  readonly #fairRate: boolean;
  readonly #predictedFinish: boolean;
  readonly #queueBound: boolean;
  readonly #lighter: boolean;

  constructor(random: () => number, off: readonly Mechanism[]) {
    this.#random = random;
    this.#fairRate = !off.includes('fair_rate');
    this.#predictedFinish = !off.includes('predicted_finish');
    this.#queueBound = !off.includes('queue_bound');
    this.#lighter = !off.includes('brownout');
  }

  /** Fills in `decision`, whose rank says which class it is about. */
  decide(model: ModelAdmission, candidate: Candidate, around: Around, nowMs: number, decision: Decision): void {
    const { view } = model;
    const { rank } = decision;
    const control = model.classes[rank]!;
    const fullIms = view.times.imsOf('', candidate);
    let index = around.forced === undefined && this.#mayBeLighter(model, candidate) ? this.#first(model, candidate) : 0;
    const last = around.forced === undefined && this.#mayBeLighter(model, candidate) ? model.variants.length - 1 : 0;
    let variant = around.forced ?? model.variants[index]!;
    let costIms = variant === '' ? fullIms : view.times.imsOf(variant, candidate);
    const slot = control.tenants.slotOf(candidate.tenant, around.weights.of(rank, candidate.tenant), 1);
    view.rates.onOffered(rank, fullIms, nowMs);
    control.tenants.onOffered(slot, costIms, nowMs);
    if (view.capacity > 0) control.onBudget(candidate.budgetMs, view);
    view.refresh(nowMs);
    const queueMs = view.capacity > 0 ? view.queueMs(rank, nowMs) : 0;
    if (view.capacity > 0) control.refresh(view, around.weights, queueMs, nowMs);
    const share = control.budgets.upTo(candidate.budgetMs + queueMs);
    const aheadMs = share < 1 && view.capacity > 0 ? view.queueMs(rank, nowMs, share) : queueMs;
    const ticket = candidate.acceptsTicket && around.ticketsOpen;
    if (ticket && rank === BULK && model.effectiveLevel >= 3) {
      decision.rung = 'ticket';
      return;
    }
    let reason: Reason = '';
    for (;;) {
      decision.variant = variant;
      decision.costIms = costIms;
      predict(model, candidate, { queueMs: aheadMs, lagMs: around.lagMs }, decision);
      const refusedBy = this.#refusal(model, candidate, slot, queueMs, nowMs, decision);
      if (refusedBy === '') {
        control.fair.take(slot, costIms);
        control.budgets.admitted(candidate.budgetMs, costIms);
        view.rates.onAdmitted(rank, costIms);
        view.queues[rank]!.admitted(costIms);
        decision.rung = variant !== '' ? 'degraded' : queueMs > WAITED_MS ? 'wait' : 'run';
        return;
      }
      if (reason === '') reason = refusedBy;
      index += 1;
      if (index > last) break;
      variant = model.variants[index]!;
      costIms = view.times.imsOf(variant, candidate);
    }
    if (ticket) {
      decision.rung = 'ticket';
      return;
    }
    this.#refuse(model, candidate, { slot, reason, fullIms }, nowMs, decision);
  }

  /**
   * G3 before the body is read: what a mean request of the tenant could not have now, hardly any could. Fills in `decision` and
   * counts the request if it is refused; else changes nothing, and `decide` is to be asked.
   */
  refusesUnread(model: ModelAdmission, candidate: Mean, around: Around, nowMs: number, decision: Decision): boolean {
    const { view } = model;
    const { rank } = decision;
    const control = model.classes[rank]!;
    if (!this.#fairRate || !control.fair.congested || !(view.capacity > 0)) return false;
    const costIms = view.rates.meanCost[rank]!;
    const slot = control.tenants.slotOf(candidate.tenant, around.weights.of(rank, candidate.tenant), 1);
    view.refresh(nowMs);
    const queueMs = view.queueMs(rank, nowMs);
    control.refresh(view, around.weights, queueMs, nowMs);
    if (control.fair.allows(slot, costIms, nowMs)) return false;
    view.rates.onOffered(rank, costIms, nowMs);
    control.tenants.onOffered(slot, costIms, nowMs);
    decision.costIms = costIms;
    predict(model, candidate, { queueMs, lagMs: around.lagMs }, decision);
    this.#refuse(model, candidate, { slot, reason: 'fair_rate', fullIms: costIms }, nowMs, decision);
    return true;
  }

  #refuse(
    model: ModelAdmission,
    candidate: Pick<Candidate, 'budgetMs'>,
    { slot, reason, fullIms }: { slot: number; reason: Reason; fullIms: number },
    nowMs: number,
    decision: Decision,
  ): void {
    const { rank } = decision;
    const atFloor = reason === 'fair_rate' && rank === BULK && model.floorOnly;
    if (!atFloor) model.view.rates.onRefused(rank, fullIms); // of the floor's refusals batchers must not conclude that more would fit
    decision.rung = 'refused';
    decision.code = 'OVERLOADED';
    decision.reason = atFloor ? 'brownout' : reason;
    decision.retryAfterMs = this.#hintMs(model, candidate, slot, nowMs, decision);
  }

  /** G3, the bound of the queue, G4. Changes nothing. */
  #refusal(
    model: ModelAdmission,
    candidate: Candidate,
    slot: number,
    queueMs: number,
    nowMs: number,
    { rank, costIms, variant, predictedFinishMs }: Decision,
  ): Reason {
    const { view } = model;
    const control = model.classes[rank]!;
    if (!(view.capacity > 0)) return ''; // nothing is known of the model: the stream's own bound is the limit
    const isQuiet = queueMs < QUIET_MS && view.busyShare < QUIET_SHARE;
    if (isQuiet && !control.fair.congested) return '';
    if (!candidate.acceptsWait && variant === '' && queueMs > WAITED_MS) return 'predicted_finish';
    if (rank === 0 && view.isStale(nowMs)) return '';
    if (this.#fairRate && !control.fair.allows(slot, costIms, nowMs)) return 'fair_rate';
    if (this.#queueBound) {
      const ownIms = view.queues[rank]!.aheadIms(nowMs);
      if (ownIms > 0 && ownIms + costIms > view.boundIms(rank)) return 'queue_bound';
    }
    if (this.#predictedFinish && predictedFinishMs > control.budgetShare * candidate.budgetMs)
      return 'predicted_finish';
    return '';
  }

  #mayBeLighter(model: ModelAdmission, { acceptsDegraded }: Candidate): boolean {
    if (!this.#lighter || model.variants.length < 2) return false;
    return acceptsDegraded || model.record.degradeOptOut === false;
  }

  /** Where on the ladder a request that may be lighter begins: the brown-out's share of callers begins below the full model. */
  #first({ brownOut }: ModelAdmission, { stickyHash }: Candidate): number {
    return stickyHash / 2 ** 32 < brownOut.lighterShare ? 1 : 0;
  }

  #hintMs(
    { view, classes }: ModelAdmission,
    { budgetMs }: Pick<Candidate, 'budgetMs'>,
    slot: number,
    nowMs: number,
    { rank, costIms, predictedFinishMs }: Decision,
  ): number {
    const { fair, tenants, budgetShare } = classes[rank]!;
    let waitMs = predictedFinishMs - budgetShare * budgetMs;
    if (fair.congested) {
      const slotMs = nextSlot(tenants.hintAt[slot]!, costIms, fair.rateOf(slot), nowMs);
      tenants.hintAt[slot] = slotMs;
      waitMs = Math.max(waitMs, slotMs - nowMs);
    }
    const boundMs = (view.queues[rank]!.aheadIms(nowMs) + costIms - view.boundIms(rank)) / view.free[rank]!;
    return overloadHintMs(Math.max(waitMs, boundMs), this.#random);
  }
}

/** When its batch will start and its answer be here, in a batch as large as what waits makes it. */
function predict(
  { view }: ModelAdmission,
  { rows }: Pick<Candidate, 'rows'>,
  { queueMs, lagMs }: { queueMs: number; lagMs: number },
  decision: Decision,
): void {
  const { times, capacity } = view;
  const ahead = capacity > 0 ? (queueMs * capacity) / times.imsPerRow('') : 0;
  const expected = Math.max(rows + ahead, times.fill * times.operatingRows);
  const batchRows = Math.max(rows, Math.min(times.operatingRows, expected));
  const startMs = queueMs + 0.5 * times.runMs(decision.variant, batchRows) * view.busyShare;
  decision.predictedWaitMs = startMs;
  decision.predictedFinishMs = startMs + times.slowRunMs(decision.variant, batchRows) + view.hopMs + lagMs;
}
