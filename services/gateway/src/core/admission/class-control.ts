import type { GatewayLoad, TenantRate, TenantRest } from '@spillway/contracts/messages';
import { BudgetMix } from './budget-mix.ts';
import { FairRate, type Tick } from './fair-rate.ts';
import { FleetDemand } from './fleet-demand.ts';
import { type Goal, goalOf, pace } from './goal.ts';
import { LowQuantile } from './low-quantile.ts';
import type { ModelView } from './model-view.ts';
import type { AdmissionSettings } from './settings.ts';
import { TenantTable } from './tenant-table.ts';
import type { TenantWeights } from './tenant-weights.ts';
import type { ClassFacts } from './types.ts';

/** Tenants of a congested class that are named to the other gateways. */
const MOST_TOLD = 32;
const MOST_BURST_MS = 500;
/** Between two plans within a tick. */
const REPLAN_MS = 10;

/** One class of one model: its tenants, how much may be admitted, and who may have it. */
export class ClassControl {
  readonly tenants = new TenantTable();
  readonly fair: FairRate;
  readonly budgets = new BudgetMix();
  /** What all gateways may admit, ims per ms. */
  capacity = 0;
  queueMs = 0;
  goal: Goal = { targetMs: 0, sharedMs: 0, limitMs: 0 };
  readonly #rank: number;
  readonly #settings: AdmissionSettings;
  readonly #demand = new FleetDemand();
  readonly #tightMs: LowQuantile;
  #floorOnly = false;
  #runMs = 0;
  #plannedMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    rank: number;
    settings: AdmissionSettings;
    deadlineMs: number;
    random: () => number;
    nowMs: number;
  }) {
    this.#rank = options.rank;
    this.#settings = options.settings;
    this.#tightMs = new LowQuantile(options.deadlineMs);
    const burstMs = Math.min(MOST_BURST_MS, this.budgetShare * options.deadlineMs);
    this.fair = new FairRate(this.tenants, { burstMs, random: options.random, nowMs: options.nowMs });
  }

  /** Share of its remaining budget that the prediction for a request may use. */
  get budgetShare(): number {
    return this.#settings.budgetShare[this.#rank]!;
  }

  /** Being cut, or so long a queue that it may be soon. */
  get isNearCut(): boolean {
    return this.fair.congested || (this.capacity > 0 && this.queueMs > this.goal.sharedMs);
  }

  reweigh(weights: TenantWeights): void {
    const { names, weight } = this.tenants;
    for (const [slot, name] of names.entries()) weight[slot] = weights.of(this.#rank, name);
  }

  /** Takes note of a deadline, unless it could not be met by an idle mesh: that says nothing about the queue. */
  onBudget(budgetMs: number, view: ModelView): void {
    const leastMs = 1.5 * view.times.runMs('', view.times.operatingRows) + view.hopMs;
    if (this.budgetShare * budgetMs > leastMs) this.#tightMs.observe(budgetMs);
  }

  tick(view: ModelView, floorOnly: boolean, weights: TenantWeights, tick: Tick): void {
    this.tenants.tick(tick.elapsedMs, tick.weight, this.fair.owesAfter, tick.nowMs);
    this.fair.tick(tick);
    this.budgets.tick();
    this.#floorOnly = floorOnly;
    this.#plan(view, weights, tick.nowMs, true);
  }

  /** Before each decision. The next tick may be 50 ms away: a flood that has just begun is planned for at once. */
  refresh(view: ModelView, weights: TenantWeights, queueMs: number, nowMs: number): void {
    const { fair, goal } = this;
    if (fair.congested) fair.steer(pace(queueMs, goal, this.#runMs));
    else if (queueMs > goal.sharedMs && nowMs - this.#plannedMs >= REPLAN_MS) this.#plan(view, weights, nowMs, false);
  }

  #plan(view: ModelView, weights: TenantWeights, nowMs: number, inTime: boolean): void {
    this.#plannedMs = nowMs;
    const rank = this.#rank;
    const floor = this.#settings.floor[rank]! * view.capacity;
    const free = this.#floorOnly ? floor : view.free[rank]!;
    const meanCost = view.rates.meanCost[rank]!;
    this.#runMs = view.times.runMs('', view.times.operatingRows);
    this.goal = goalOf({
      usableMs: this.budgetShare * this.#tightMs.value,
      runMs: this.#runMs,
      hopMs: view.hopMs,
      requestMs: free > 0 ? meanCost / free : 0,
      atFloor: floor > 0 && free <= floor,
    });
    this.queueMs = view.queueMs(rank, nowMs);
    if (!(view.capacity > 0)) return;
    const capacity = this.#settings.ceiling[rank]! * free;
    const now = pace(this.queueMs, this.goal, this.#runMs);
    this.capacity = capacity * now;
    const share = view.share(rank);
    this.#demand.collect(this.tenants, { rank, peers: view.peers.all, share, meanCost, weights, nowMs });
    const lately = view.rates.offeredLately(rank, nowMs) / share;
    this.fair.plan(
      this.#demand,
      { capacity, lately, queueMs: this.queueMs, goal: this.goal, pace: now, meanCost },
      { nowMs, inTime },
    );
  }

  /** Adds the heaviest tenants, and the sum of the others, to what peers are told. */
  tell(load: GatewayLoad): void {
    const rest: TenantRest = { count: 0, offered: 0 };
    load.rest.push(rest);
    if (!this.fair.congested) return;
    const { offered, count, hash } = this.tenants;
    const told: TenantRate[] = [];
    for (let slot = 0; slot < count; slot += 1) {
      const rate = offered[slot]!;
      if (rate === 0) continue;
      const lightest = told.at(-1);
      if (told.length === MOST_TOLD && rate <= lightest!.offered) {
        rest.count += 1;
        rest.offered += rate;
        continue;
      }
      if (told.length === MOST_TOLD) {
        rest.count += 1;
        rest.offered += lightest!.offered;
        told.pop();
      }
      let place = told.length;
      while (place > 0 && told[place - 1]!.offered < rate) place -= 1;
      told.splice(place, 0, { tenant: hash[slot]!, rank: this.#rank, offered: rate });
    }
    load.tenants.push(...told);
  }

  facts(view: ModelView): ClassFacts {
    const rank = this.#rank;
    return {
      congested: this.fair.congested,
      queueMs: this.queueMs,
      capacity: this.capacity,
      fairRate: this.fair.rate,
      share: view.share(rank),
      offered: view.rates.offered[rank]!,
      admitted: view.rates.admitted[rank]!,
      refused: view.rates.refused[rank]!,
    };
  }
}
