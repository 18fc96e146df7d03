import type { KeyRecord, Lever } from '@spillway/contracts/buckets';
import type { GatewayLoad, LoadState } from '@spillway/contracts/messages';
import { AdmittedModels } from './admitted-models.ts';
import { Answers } from './answers.ts';
import { CpuGuard, type LoopUse } from './cpu-guard.ts';
import { applyLevel, newEffects } from './effects.ts';
import { type Around, Ladder } from './ladder.ts';
import { Levers } from './levers.ts';
import { KEYS_TOPIC, Quotas } from './quotas.ts';
import { Resubmission } from './resubmission.ts';
import { type AdmissionOptions, DEFAULT_SETTINGS } from './settings.ts';
import { TenantWeights } from './tenant-weights.ts';
import { weightOf } from './ticks.ts';
import { doorLimit, type TokenBucket } from './token-bucket.ts';
import type { AdmittedModel, Candidate, Decision, Effects, ModelFacts, Unread } from './types.ts';

export type { Candidate, Decision, Effects, ModelFacts, Unread } from './types.ts';

/** A tick that comes much too early would divide by nothing. */
const LEAST_TICK_MS = 1;
const BRAKE_HINT_MS = 1_000;

/**
 * Decides what becomes of each request at this gateway: limits and guard at the door, quota, fair rate, predicted finish, then the
 * ladder. All knowledge of the rest of the mesh comes in by `onLoad`; there is no leader, lock or shared counter. Holds no
 * timer and reads no clock: every call brings the time, monotonic, in ms.
 */
export class Admission {
  /** What the level of brown-out switches; changed in place at each tick. */
  readonly effects: Effects = newEffects();
  /** False: no jobs can be taken, so no caller gets a ticket. */
  ticketsOpen = true;
  readonly #models: AdmittedModels;
  readonly #weights = new TenantWeights();
  readonly #quotas: Quotas;
  readonly #levers: Levers;
  readonly #guard: CpuGuard;
  readonly #ladder: Ladder;
  readonly #resubmission = new Resubmission();
  readonly #door: (TokenBucket | undefined)[];
  readonly #around: Around = { lagMs: 0, forced: undefined, weights: this.#weights, ticketsOpen: true };
  readonly #mean = { tenant: '', budgetMs: 0, rows: 1 };
  readonly #answers: Answers;
  readonly #guarded: boolean;
  readonly #quotaed: boolean;
  #heap = 0;
  #awaySinceMs: number | undefined;
  #tickedMs: number;
  #nowMs: number;

  constructor({ random, instance, settings: given, nowMs }: AdmissionOptions) {
    const settings = { ...DEFAULT_SETTINGS, ...given };
    this.#answers = new Answers(random);
    this.#models = new AdmittedModels({ settings, instance, random, weights: this.#weights });
    this.#quotas = new Quotas(instance);
    this.#levers = new Levers(random);
    this.#guard = new CpuGuard(random);
    this.#ladder = new Ladder(random, settings.off);
    this.#guarded = !settings.off.includes('guard');
    this.#quotaed = !settings.off.includes('quota');
    this.#tickedMs = nowMs;
    this.#nowMs = nowMs;
    this.#door = settings.doorRate.map((perSecond) => doorLimit(perSecond, nowMs));
  }

  setModel(record: AdmittedModel): void {
    this.#models.set(record, this.#nowMs);
  }

  removeModel(model: string): void {
    this.#models.remove(model);
  }

  setKey(record: KeyRecord): void {
    this.#quotas.set(record, this.#nowMs);
    this.#weights.set(record);
    this.#models.reweigh();
  }

  removeKey(id: string): void {
    this.#quotas.remove(id, this.#nowMs);
    this.#weights.remove(id);
    this.#models.reweigh();
  }

  /** What the family of this key may use. Undefined: no quota. */
  quotaOf(keyId: string): ReturnType<Quotas['get']> {
    return this.#quotaed ? this.#quotas.get(keyId) : undefined;
  }

  /** What work of this cost takes of the full model, in ms of an instance, as far as it is known. */
  imsOf(model: string, cost: number): number {
    const known = this.#models.get(model);
    return known === undefined ? cost : known.view.times.imsOf('', { cost, rows: 1 });
  }

  /** @param epochMs The wall clock at `nowMs`. */
  setLevers(levers: readonly Lever[], epochMs: number, nowMs: number): void {
    this.#levers.set(levers, epochMs, nowMs);
  }

  /** What the headers alone decide. Undefined: read on. Counts the request; charges nothing to its key. */
  atDoor(rank: number, keyId: string, nowMs: number): Decision | undefined {
    this.#nowMs = nowMs;
    this.#quotas.onDoor(rank, nowMs);
    if (this.#awaySinceMs !== undefined) return this.#answers.unavailable(rank, nowMs - this.#awaySinceMs);
    const limit = this.#door[rank];
    if (limit?.hasAny(nowMs) === false) return this.#answers.refused(rank, 'limit', limit.waitMs(1, nowMs));
    limit?.take(1);
    if (this.#guarded && !this.#guard.allows(rank)) return this.#answers.refused(rank, 'gateway_cpu', 0);
    if (!this.#levers.allowsAtDoor(rank, this.#quotas.doorShare(rank), nowMs))
      return this.#answers.refused(rank, 'brake', BRAKE_HINT_MS);
    const key = this.quotaOf(keyId);
    if (key === undefined || key.lowers || !key.isUsedUp(nowMs)) return undefined;
    key.onOffered();
    return this.#answers.refused(rank, 'quota', key.nextFreeMs(nowMs) - nowMs);
  }

  /**
   * What the headers and the model's congestion decide: reading the body is most of what a refusal costs. Only of a class that is
   * being cut, and not where the body may still change something: a lighter variant, a cached answer, a ticket, a lever, a
   * limit, a quota that lowers. Undefined: read on.
   */
  beforeBody(unread: Unread, nowMs: number): Decision | undefined {
    const model = this.#models.get(unread.model);
    const { rank } = unread;
    if (model === undefined || rank === 0 || model.classes[rank]?.fair.congested !== true) return undefined;
    if (model.variants.length > 1 || model.isLimited || !this.#levers.none || unread.acceptsTicket) return undefined;
    if (model.record.responseCache !== undefined && !unread.noCache) return undefined;
    const key = this.quotaOf(unread.keyId);
    if (key?.isUsedUp(nowMs)) return undefined;
    this.#nowMs = nowMs;
    const candidate = this.#mean;
    candidate.tenant = unread.tenant;
    candidate.budgetMs = unread.budgetMs ?? model.record.defaultDeadlineMs;
    this.#around.lagMs = this.#guard.lagMs;
    const decision = this.#answers.run(rank);
    if (!this.#ladder.refusesUnread(model, candidate, this.#around, nowMs, decision)) return undefined;
    key?.onOffered();
    return decision;
  }

  /** The answer is valid until the next question. */
  decide(candidate: Candidate, nowMs: number): Decision {
    this.#nowMs = nowMs;
    const model = this.#models.get(candidate.model);
    let { rank } = candidate;
    if (this.#awaySinceMs !== undefined) return this.#answers.unavailable(rank, nowMs - this.#awaySinceMs);
    if (!(candidate.budgetMs > 0)) return this.#answers.refused(rank, 'expired', 0);
    let key = this.quotaOf(candidate.keyId);
    if (key !== undefined) {
      key.onOffered();
      if (key.isUsedUp(nowMs)) {
        if (!key.lowers) return this.#answers.refused(rank, 'quota', key.nextFreeMs(nowMs) - nowMs);
        rank = key.lowered(rank);
        key = undefined; // what goes on one class lower is not on its quota
      }
    }
    if (model === undefined) return this.#answers.run(rank); // whoever routes the request knows why
    const around = this.#around;
    if (!this.#levers.none) {
      const share = model.view.share(rank);
      if (!this.#levers.allows(candidate.model, rank, candidate.tenant, share, nowMs)) {
        return this.#answers.refused(rank, 'brake', BRAKE_HINT_MS);
      }
      around.forced = this.#levers.variantOf(candidate.model, rank, candidate.tenant, nowMs);
    } else around.forced = undefined;
    if (model.isLimited && !model.limits.allows(model.share, nowMs)) {
      return this.#answers.refused(rank, 'limit', model.limits.waitMs(nowMs));
    }
    around.lagMs = this.#guard.lagMs;
    around.ticketsOpen = this.ticketsOpen;
    const decision = this.#answers.run(rank);
    this.#ladder.decide(model, candidate, around, nowMs, decision);
    if (decision.rung === 'refused') return decision;
    key?.charge(decision.costIms);
    if (rank > 0) this.#guard.onAdmitted();
    if (model.isLimited && decision.rung !== 'ticket') model.limits.admitted();
    return decision;
  }

  /** A request leaves for the stream; `rank` and `costIms` are its decision's. */
  published(model: string, rank: number, costIms: number, nowMs: number): void {
    this.#models.get(model)?.view.queues[rank]?.published(costIms, nowMs);
  }

  /** A request that was let in has ended, whatever way. Needed for the model's `limits.maxInFlight` only. */
  ended(model: string): void {
    this.#models.get(model)?.limits.ended();
  }

  /** The stream refused a frame. */
  streamFull(model: string, rank: number, nowMs: number): void {
    const view = this.#models.get(model)?.view;
    view?.queues[rank]?.full(view.boundIms(rank), nowMs);
  }

  busAway(away: boolean, nowMs: number): void {
    this.#awaySinceMs = away ? (this.#awaySinceMs ?? nowMs) : undefined;
  }

  /** @param transitMs Delay on the bus beyond the fastest: the state was true so long before `nowMs`. */
  onLoad(model: string, state: LoadState, transitMs: number, nowMs: number): void {
    if (model === KEYS_TOPIC) this.#quotas.onLoad(state, transitMs, nowMs);
    else this.#models.get(model)?.onLoad(state, Math.max(0, transitMs), nowMs);
  }

  /** How late the event loop was, every 20 ms, and how the last time was spent. */
  observeLag(lagMs: number, nowMs: number, { utilization, starved }: LoopUse): void {
    this.#guard.observe({ lagMs, utilization, starved, ...this.#models.flood(nowMs) });
  }

  observeHeap(usedOverLimit: number): void {
    this.#heap = usedOverLimit;
  }

  /** Every 50 ms. Every controller decays here, with traffic or without. */
  tick(nowMs: number): void {
    const elapsedMs = nowMs - this.#tickedMs;
    if (elapsedMs < LEAST_TICK_MS) return;
    this.#tickedMs = nowMs;
    this.#nowMs = nowMs;
    this.#quotas.tick({ elapsedMs, weight: weightOf(elapsedMs, 1), nowMs });
    const own = { lagMs: this.#guard.lagMs, heap: this.#heap };
    const { level, shortestMs } = this.#models.tick(elapsedMs, nowMs, own);
    this.#guard.deadlineMs = shortestMs;
    if (level !== this.effects.level) applyLevel(this.effects, level);
  }

  /** To be published at 20 Hz while `busy`, else once a second. */
  loadOf(model: string, _nowMs: number): GatewayLoad {
    if (model === KEYS_TOPIC) return this.#quotas.load();
    return this.#models.get(model)?.load(this.#guard.share) ?? { rates: [], guard: 1, tenants: [], rest: [] };
  }

  /** What loads are published of: models, and the topic of keys. */
  *models(): Iterable<string> {
    yield KEYS_TOPIC;
    yield* this.#models.names();
  }

  busy(model: string, nowMs: number): boolean {
    return model === KEYS_TOPIC ? !this.#quotas.quiet : this.#models.get(model)?.busy(nowMs) === true;
  }

  /** Whether that class is being cut or is near it, or the model is in brown-out: work ahead of the decision may be wasted. */
  congested(model: string, rank: number): boolean {
    const known = this.#models.get(model);
    return known !== undefined && (known.effectiveLevel > 0 || known.classes[rank]?.isNearCut === true);
  }

  /** By this gateway's own view of the model: what its load states carry. */
  levelOf(model: string): number {
    return this.#models.get(model)?.level ?? 0;
  }

  /** Share of standard and bulk that the guard of the processor lets on. */
  get guard(): number {
    return this.#guard.share;
  }

  /** How long after its publication an unanswered request is worth sending again; Infinity: it is not. */
  resubmitAfterMs(model: string, rank: number, budgetMs: number, predictedFinishMs: number): number {
    const view = this.#models.get(model)?.view;
    return view ? this.#resubmission.afterMs(view, rank, budgetMs, predictedFinishMs) : Number.POSITIVE_INFINITY;
  }

  /** Whether it may be sent again now; if so, its budget is charged. */
  mayResubmit(model: string, rank: number, budgetLeftMs: number, nowMs: number): boolean {
    const view = this.#models.get(model)?.view;
    return view !== undefined && this.#resubmission.spend(view, rank, budgetLeftMs, nowMs);
  }

  /** A request has its answer: pays for resubmissions. */
  answered(model: string): void {
    const view = this.#models.get(model)?.view;
    if (view !== undefined) this.#resubmission.answered(view);
  }

  /** Last values, for metrics and for who looks. */
  facts(): readonly ModelFacts[] {
    return this.#models.facts(this.#nowMs);
  }
}
