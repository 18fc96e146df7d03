import type { FleetDemand } from './fleet-demand.ts';
import type { Goal } from './goal.ts';
import type { TenantTable } from './tenant-table.ts';
import { fairShare } from './water-filling.ts';

/** Demand so much above what is served makes a growing queue congestion. */
const OVER = 1.05;
/** A class is shared when others than the heavy tenants want so much of it. */
const OTHERS = 0.02;
/** So many ticks without a cut end it. */
const CALM_TICKS = 20;
/**
 * A long queue lowers the fair rate to this part of what it would be with none. The rate and not the sum: the queue of a heavy
 * tenant drains at its own cost, while those who want little go on as before.
 */
const LEAST_PART = 0.5;
/** How fast the correction of the rate follows what was really let through. */
const GAIN = 0.1;
/** A queue below its target says that more would fit, whatever the sums say: tenants that peers do not name are counted twice. */
const SLACK_WEIGHT = 0.2;
const LEAST_CORRECTION = 1 / 32;
const MOST_CORRECTION = 2;

/** `weight` of the tick in moving means. */
export type Tick = { elapsedMs: number; weight: number; nowMs: number };

/**
 * What the class may have and wants, all gateways together; ims per ms. `capacity` is what may be admitted at pace 1, `pace` what
 * the queue makes of it, `lately` what has certainly been offered in the last moment.
 */
export type Supply = {
  capacity: number;
  lately: number;
  queueMs: number;
  goal: Goal;
  pace: number;
  meanCost: number;
};

/**
 * G3: the fair rate between the tenants of one class and model. While the class is congested each tenant may use its weighted
 * max-min share of the class; who wants less is not touched. Held by virtual time (Zhang 1990, virtual clock; Golestani 1994):
 * V runs at the fair rate, and a request's finish is V's value at which its tenant has earned it. One number a tenant and no timer.
 */
export class FairRate {
  congested = false;
  readonly #table: TenantTable;
  readonly #random: () => number;
  /** Of weight 1 at all gateways, before the correction; Infinity: no cut. */
  #rate = Number.POSITIVE_INFINITY;
  #correction = 1;
  #plannedPace = 1;
  #leastRate = 0;
  #steering = 1;
  #virtual = 0;
  #atMs: number;
  #burstMs: number;
  #calmTicks = 0;
  #passed = 0;
  #passedRate = 0;

  /** @param burstMs Time of its fair rate that a tenant which was idle may use at once. */
  constructor(table: TenantTable, options: { burstMs: number; random: () => number; nowMs: number }) {
    this.#table = table;
    this.#random = options.random;
    this.#burstMs = options.burstMs;
    this.#atMs = options.nowMs;
  }

  /** ims per ms of a tenant of weight 1, all gateways; Infinity: nobody is cut. */
  get rate(): number {
    return this.#correction * Math.max(this.#leastRate, this.#rate * this.#steering);
  }

  /** What a tenant may use here, ims per ms. */
  rateOf(slot: number): number {
    return this.rate * this.#table.weight[slot]! * this.#table.share[slot]!;
  }

  /** Virtual time before which a finish is no debt any more. */
  get owesAfter(): number {
    return this.congested ? this.#virtual - this.rate * this.#burstMs : Number.POSITIVE_INFINITY;
  }

  tick({ elapsedMs, weight }: Tick): void {
    this.#passedRate += weight * (this.#passed / elapsedMs - this.#passedRate);
    this.#passed = 0;
  }

  /** @param inTime False: between two ticks, so nothing that counts ticks may move. */
  plan(demand: FleetDemand, supply: Supply, { nowMs, inTime }: { nowMs: number; inTime: boolean }): void {
    this.#advance(nowMs);
    const { capacity, pace, queueMs, goal } = supply;
    const wanted = Math.max(demand.mean / demand.told, supply.lately);
    const over = wanted > capacity * pace;
    const fullRate = fairShare(demand, capacity * demand.told);
    if (this.congested) {
      if (inTime) this.#calmTicks = over || queueMs > goal.limitMs ? 0 : this.#calmTicks + 1;
      if (this.#calmTicks >= CALM_TICKS) this.#end();
    } else if (over && queueMs > goal.sharedMs) {
      const isShared = wanted > OVER * capacity && lightDemand(demand, fullRate) > OTHERS * capacity * demand.told;
      if (isShared || queueMs > goal.limitMs) this.#begin(demand, fullRate, supply.meanCost);
    }
    if (!this.congested) return;
    const enough = mostWanted(demand, capacity);
    this.#rate = Math.min(enough, fairShare(demand, capacity * pace * demand.told));
    this.#leastRate = LEAST_PART * Math.min(enough, fullRate);
    this.#plannedPace = supply.pace;
    this.#steering = 1;
    if (over && inTime) this.#correct(1 - queueMs / goal.targetMs);
  }

  /** The queue is known at every moment, so the rate follows it between plans. */
  steer(pace: number): void {
    this.#steering = pace / this.#plannedPace;
  }

  /** Whether a tenant has earned so much. Changes nothing, except that a tenant without a past gets one. */
  allows(slot: number, costIms: number, nowMs: number): boolean {
    if (!this.congested) return true;
    this.#advance(nowMs);
    return this.#start(slot, costIms) + this.#units(slot, costIms) <= this.#virtual * (1 + 1e-12) + 1e-9;
  }

  /** The request goes on. */
  take(slot: number, costIms: number): void {
    this.#passed += costIms;
    if (this.congested) this.#table.finish[slot] = this.#start(slot, costIms) + this.#units(slot, costIms);
  }

  #units(slot: number, costIms: number): number {
    return costIms / (this.#table.weight[slot]! * this.#table.share[slot]!);
  }

  /**
   * Where a request begins in virtual time. Nobody saves up more than the burst, but everybody who waits long enough earns one
   * request, however large. A tenant that was never seen has the burst and a random part of its first request: when so many
   * come that their burst is less than a request, as many of them get in as there is room for.
   */
  #start(slot: number, costIms: number): number {
    const units = this.#units(slot, costIms);
    const burst = this.rate * this.#burstMs;
    const finish = this.#table.finish;
    if (Number.isNaN(finish[slot]!)) finish[slot] = this.#virtual - burst - this.#random() * units;
    return Math.max(finish[slot]!, this.#virtual - Math.max(burst, units));
  }

  #advance(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    if (this.congested) this.#virtual += this.rate * (nowMs - this.#atMs);
    this.#atMs = nowMs;
  }

  /** Who is above its share starts without savings, spread over one mean request, so that they do not all come at once. */
  #begin(demand: FleetDemand, fullRate: number, meanCost: number): void {
    this.congested = true;
    this.#calmTicks = 0;
    this.#correction = 1;
    this.#virtual = 0;
    for (let slot = 0; slot < this.#table.count; slot += 1) {
      const heavy = demand.demand[slot]! > fullRate * demand.weight[slot]!;
      this.#table.finish[slot] = heavy ? -this.#random() * this.#units(slot, meanCost) : Number.NaN;
    }
  }

  #end(): void {
    this.congested = false;
    this.#rate = Number.POSITIVE_INFINITY;
    this.#correction = 1;
    this.#table.finish.fill(Number.NaN);
  }

  /**
   * The rate is computed from moving means, which do not see tenants that come once in a while: thousands of them together may
   * want more than the class has. So the rate is corrected by what was let through against what was meant to be.
   */
  #correct(slack: number): void {
    const table = this.#table;
    let meant = 0;
    for (let slot = 0; slot < table.count; slot += 1) {
      const share = table.share[slot]!;
      meant += Math.min(table.offered[slot]!, this.#rate * table.weight[slot]! * share);
    }
    if (!(meant > 0)) return;
    const missing = (meant - this.#passedRate) / meant;
    const error = Math.max(-1, Math.min(1, missing + SLACK_WEIGHT * Math.max(0, slack)));
    const next = this.#correction * (1 + GAIN * error);
    this.#correction = Math.min(MOST_CORRECTION, Math.max(LEAST_CORRECTION, next));
  }
}

/** A rate at which nobody is cut. */
function mostWanted({ demand, weight, count }: FleetDemand, capacity: number): number {
  let most = 0;
  for (let i = 0; i < count; i += 1) most = Math.max(most, demand[i]! / weight[i]!);
  return Math.max(1.2 * most, capacity);
}

/** What those want who are not above a rate. */
function lightDemand({ demand, weight, count }: FleetDemand, rate: number): number {
  let sum = 0;
  for (let i = 0; i < count; i += 1) if (demand[i]! <= rate * weight[i]!) sum += demand[i]!;
  return sum;
}
