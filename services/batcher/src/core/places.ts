import type { Clock } from '@spillway/lifecycle/clock';
import { BATCH_SHARE } from './capacity.ts';
import type { Credits } from './credits.ts';
import type { Instance } from './instance.ts';
import type { BatchRules } from './model-rules.ts';
import type { Place } from './place.ts';
import type { Prediction } from './run-time.ts';
import type { Slot } from './slot.ts';
import type { Work } from './work.ts';

/** What each instance of a model offers the next batch: when it can begin, how long a run will take, which versions it serves. */
export class Places {
  rules: BatchRules;
  readonly #clock: Clock;

  constructor(clock: Clock, rules: BatchRules) {
    this.#clock = clock;
    this.rules = rules;
  }

  /** Rows of a full batch on instances of this worker. */
  operatingRows(slot: Slot, variant = ''): number {
    return slot.runTime(variant).rowsWithin(BATCH_SHARE * this.rules.shortestDeadlineMs);
  }

  /** @param credits Of all workers; undefined: this instance is looked at alone. */
  of(instance: Instance, credits: Credits | undefined, startInMs: number): Place<Work> {
    const { slot } = instance;
    const nowMs = this.#clock.now();
    const { slowStartMs } = this.rules;
    const slots = credits?.slotsOf(slot.model) ?? [slot];
    let known: Prediction | undefined;
    let of = '';
    return {
      startInMs,
      soonest: slots.length === 1 ? undefined : this.#soonest(instance, credits),
      predict: (variant) => {
        if (known !== undefined && variant === of) return known;
        const operatingRows = this.operatingRows(slot, variant);
        known = slot.runTime(variant).prediction(instance.rowsNow({ operatingRows, slowStartMs, nowMs }));
        of = variant;
        return known;
      },
      serves:
        slots.length === 1
          ? undefined
          : ({ route: { version } }) =>
              slot.versions.has(version) || !slots.some((other) => other.versions.has(version)),
    };
  }

  /** For at most so many rows of jobs, of which none is dropped for what is predicted. */
  ofJobs(instance: Instance, credits: Credits, maxRows: number): Place<Work> {
    const place = this.of(instance, credits, 0);
    return {
      ...place,
      predict: (variant) => {
        const prediction = place.predict(variant);
        return { ...prediction, maxRows: Math.min(prediction.maxRows, maxRows), trusted: false };
      },
    };
  }

  #soonest(mine: Instance, credits: Credits | undefined): Place<Work> | undefined {
    const free = credits?.soonest(mine.slot.model);
    return free === undefined || free.instance === mine ? undefined : this.of(free.instance, undefined, free.startInMs);
  }
}
