import { CLASSES } from '@spillway/contracts/classes';
import type { GatewayLoad, LoadState } from '@spillway/contracts/messages';
import { BrownOut } from './brown-out.ts';
import { ClassControl } from './class-control.ts';
import { ModelLimits } from './model-limits.ts';
import { ModelView } from './model-view.ts';
import type { AdmissionSettings } from './settings.ts';
import type { TenantWeights } from './tenant-weights.ts';
import { weightOf } from './ticks.ts';
import type { AdmittedModel, ModelFacts } from './types.ts';

/** Moving means reach over at least so many mean requests. */
const REQUESTS_IN_MEAN = 4;
/** Nothing heard for this long while there is traffic: brown-out is one level higher than the pressure says. */
const SILENT_MS = 500;
/** Traffic counts as steady after this long: a model without any is spoken of once a second. */
const STEADY_MS = 1_500;

/** Everything that is decided for one model by itself. */
export class ModelAdmission {
  readonly view: ModelView;
  readonly classes: readonly ClassControl[];
  readonly brownOut: BrownOut;
  limits: ModelLimits;
  record: AdmittedModel;
  /** Best first: the full model, then what may stand in for it. */
  variants: readonly string[];
  /** Bulk has its floor and no more. */
  floorOnly = false;
  readonly #settings: AdmissionSettings;
  #quietMs: number;
  #silent = false;

  constructor(
    record: AdmittedModel,
    options: { settings: AdmissionSettings; instance: string; random: () => number; nowMs: number },
  ) {
    const { settings, random, nowMs } = options;
    const deadlineMs = record.defaultDeadlineMs;
    this.record = record;
    this.variants = ['', ...(record.degradeTo ?? [])];
    this.#settings = settings;
    this.view = new ModelView({ settings, instance: options.instance, deadlineMs, nowMs });
    this.classes = CLASSES.map((_, rank) => new ClassControl({ rank, settings, deadlineMs, random, nowMs }));
    this.brownOut = new BrownOut(settings.levels, nowMs);
    this.limits = new ModelLimits(record.limits, nowMs);
    this.#quietMs = nowMs;
  }

  update(record: AdmittedModel, nowMs: number): void {
    const { limits } = this.record;
    this.record = record;
    this.variants = ['', ...(record.degradeTo ?? [])];
    this.view.deadlineMs = record.defaultDeadlineMs;
    const same = limits?.rate === record.limits?.rate && limits?.maxInFlight === record.limits?.maxInFlight;
    if (!same) this.limits = new ModelLimits(record.limits, nowMs);
  }

  get isLimited(): boolean {
    const { limits } = this.record;
    return limits?.rate !== undefined || limits?.maxInFlight !== undefined;
  }

  /** Offered more than it can serve, whatever the processor of this gateway does. */
  isFlooded(nowMs: number): boolean {
    if (this.classes.some(({ fair }) => fair.congested)) return true;
    const { offered, capacity, rates } = this.view;
    if (!(capacity > 0)) return false;
    let wanted = 0;
    for (let rank = 0; rank < 2; rank += 1) {
      wanted += Math.max(offered[rank]!, rates.offeredLately(rank, nowMs) / this.view.share(rank));
    }
    return wanted > capacity;
  }

  /** What is offered of standard and bulk, over what vip leaves of the capacity. Infinity: as far as is known, it can serve nothing. */
  get excess(): number {
    const { offered, capacity } = this.view;
    const wanted = offered[1]! + offered[2]!;
    if (!(wanted > 0)) return 0;
    return capacity > offered[0]! ? wanted / (capacity - offered[0]!) : Number.POSITIVE_INFINITY;
  }

  /** Weights of tenants have changed. */
  reweigh(weights: TenantWeights): void {
    for (const control of this.classes) control.reweigh(weights);
  }

  onLoad(state: LoadState, transitMs: number, nowMs: number): void {
    const { known } = this.view.times;
    this.view.onLoad(state, transitMs, nowMs);
    if (!known && this.view.times.known) for (const { tenants } of this.classes) tenants.clear(); // costs were guessed
  }

  /** By this gateway's own view. */
  get level(): number {
    return Math.min(this.#settings.levels.length, this.brownOut.level + (this.#silent ? 1 : 0));
  }

  /** The highest that anybody who works for this model is at. */
  get effectiveLevel(): number {
    let level = this.level;
    for (const { live, level: theirs } of this.view.batchers.all) if (live) level = Math.max(level, theirs);
    return this.#settings.off.includes('brownout') ? 0 : Math.min(this.#settings.levels.length, level);
  }

  /** This gateway's share of the model's traffic. */
  get share(): number {
    const { rates, offered } = this.view;
    let own = 0;
    let all = 0;
    for (let rank = 0; rank < CLASSES.length; rank += 1) {
      own += rates.offered[rank]!;
      all += offered[rank]!;
    }
    if (!(all > 0)) return 1 / this.view.gateways;
    return Math.min(1, Math.max(0.05 / this.view.gateways, own / all));
  }

  tick(elapsedMs: number, nowMs: number, own: { lagMs: number; heap: number }, weights: TenantWeights): void {
    const { view } = this;
    const { capacity } = view;
    const meanCost = Math.max(...view.rates.meanCost);
    const leastMs = capacity > 0 ? (REQUESTS_IN_MEAN * meanCost) / capacity : 1;
    const tick = { elapsedMs, weight: weightOf(elapsedMs, Math.max(1, leastMs)), nowMs };
    view.tick(tick);
    if (view.rates.quiet) this.#quietMs = nowMs;
    this.#silent = nowMs - this.#quietMs > STEADY_MS && view.times.known && view.silentMs(nowMs) > SILENT_MS;
    // A level outlasts the flood by seconds; what bulk may have must not: others leave room again as soon as it ends.
    this.floorOnly = this.effectiveLevel >= 4 && this.brownOut.pressure > 1;
    this.classes.forEach((control, rank) => {
      control.tick(view, this.floorOnly && rank === 2, weights, tick);
    });
    this.brownOut.update(this.#pressure(nowMs, own), nowMs);
  }

  /** Traffic, a queue that has not drained, or a class that is still being cut. */
  busy(nowMs: number): boolean {
    const { view, classes } = this;
    return (
      !view.rates.quiet ||
      classes.some(({ fair }) => fair.congested) ||
      (view.capacity > 0 && view.queueMs(2, nowMs) > 1)
    );
  }

  load(guard: number): GatewayLoad {
    const load: GatewayLoad = { rates: this.view.rates.reported(), guard, tenants: [], rest: [] };
    for (const control of this.classes) control.tell(load);
    return load;
  }

  facts(nowMs: number): ModelFacts {
    const { view, brownOut } = this;
    return {
      model: this.record.model,
      capacity: view.capacity,
      gateways: view.gateways,
      batchers: view.batchers.live,
      silentMs: view.silentMs(nowMs),
      level: this.effectiveLevel,
      pressure: brownOut.pressure,
      lighterShare: brownOut.lighterShare,
      classes: this.classes.map((control) => control.facts(view)),
    };
  }

  /** 1 at capacity. Not the wait: admission keeps that short whatever comes. Bulk is no reason to serve others worse. */
  #pressure(nowMs: number, { lagMs, heap }: { lagMs: number; heap: number }): number {
    const { view } = this;
    let pressure = Math.max(lagMs / 50, heap / 0.9);
    if (!(view.capacity > 0)) return pressure;
    pressure = Math.max(pressure, (view.offered[0]! + view.offered[1]!) / view.capacity);
    for (let rank = 0; rank < 2; rank += 1) {
      pressure = Math.max(pressure, view.queues[rank]!.aheadIms(nowMs) / view.boundIms(rank));
    }
    return pressure;
  }
}
