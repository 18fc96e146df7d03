import type { ServedModel } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Instance } from './instance.ts';
import { Slot } from './slot.ts';

/** More than any worker has use for: a wrong count must not make the batcher pour everything into one stream. */
const MOST_CREDITS = 1_024;

/** An instance that would take a batch now, or when what it has, or other models have there, is nearly done. */
export type Free = { instance: Instance; startInMs: number };

/** Permissions to send batches, by worker and model. */
export class Credits {
  readonly #clock: Clock;
  readonly #byModel = new Map<string, Slot[]>();
  readonly #byWorker = new Map<string, Slot[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * A worker that says hello again has loaded or released something; its credits stay. Executors of a new generation are idle and
   * cold: what was learned of the former ones does not count for them.
   */
  join(worker: string, served: ServedModel): Slot {
    const known = this.#find(worker, served.model);
    if (known !== undefined && known.generation === (served.generation ?? 0)) {
      known.versions = new Set(served.versions);
      return known;
    }
    if (known !== undefined) this.#remove(known);
    const siblings = this.#byWorker.get(worker) ?? [];
    const slot = new Slot(this.#clock, worker, served, siblings, siblings[0]?.turns);
    if (known !== undefined) {
      slot.free = known.free;
      slot.asked = known.asked;
      slot.leaving = known.leaving;
    }
    siblings.push(slot);
    this.#byWorker.set(worker, siblings);
    const slots = this.#byModel.get(served.model);
    if (slots === undefined) this.#byModel.set(served.model, [slot]);
    else slots.push(slot);
    return slot;
  }

  /** A worker serves these models, and no others: what it has of those it still ends. @returns those that it served before. */
  greet(worker: string, models: readonly ServedModel[]): string[] {
    for (const served of models) this.join(worker, served);
    const gone = (this.#byWorker.get(worker) ?? []).filter((slot) => !models.some(({ model }) => model === slot.model));
    for (const slot of gone) this.#remove(slot);
    return gone.map(({ model }) => model);
  }

  /** False: the worker did not name this model, or it leaves. */
  grant(worker: string, model: string, batches: number): boolean {
    const slot = this.#find(worker, model);
    if (slot === undefined || slot.leaving) return false;
    slot.granted(batches, MOST_CREDITS);
    return true;
  }

  /** Nothing further goes to this worker. @returns its models. */
  stop(worker: string): string[] {
    const models: string[] = [];
    for (const slot of this.#byWorker.get(worker) ?? []) {
      slot.leaving = true;
      slot.free = 0;
      models.push(slot.model);
    }
    return models;
  }

  /** @returns the models that this worker served. */
  leave(worker: string): string[] {
    const models = this.stop(worker);
    this.#byWorker.delete(worker);
    for (const model of models) this.#keepSlots(model, (slot) => slot.worker !== worker);
    return models;
  }

  slotsOf(model: string): readonly Slot[] {
    return this.#byModel.get(model) ?? [];
  }

  /** Instances to send to, the soonest to begin first; of equals the one whose worker has the most credits. */
  free(model: string): Free[] {
    const nowMs = this.#clock.now();
    const found: Free[] = [];
    for (const slot of this.slotsOf(model)) {
      if (slot.free <= 0) continue;
      const { trap, sharing } = slot;
      const behindMs = sharing * slot.othersMs(nowMs);
      for (const instance of slot.instances) {
        if (instance.suspect || (trap && instance.inFlight > 0)) continue;
        found.push({ instance, startInMs: instance.startInMs(nowMs) + behindMs });
      }
    }
    if (found.length > 1) {
      found.sort(
        (a, b) =>
          a.startInMs - b.startInMs ||
          a.instance.inFlight - b.instance.inFlight ||
          b.instance.slot.free - a.instance.slot.free,
      );
    }
    return found;
  }

  /** The healthy instance that would end a single row first, with or without a credit. */
  soonest(model: string): Free | undefined {
    const nowMs = this.#clock.now();
    let best: Free | undefined;
    let bestMs = Number.POSITIVE_INFINITY;
    for (const slot of this.slotsOf(model)) {
      if (slot.leaving || !slot.asked) continue;
      const awayMs = slot.sharing * slot.othersMs(nowMs) + slot.runTime('').predictMs(1);
      for (const instance of slot.instances) {
        const ms = instance.startInMs(nowMs) + awayMs;
        if (instance.suspect || ms >= bestMs) continue;
        bestMs = ms;
        best = { instance, startInMs: ms - slot.runTime('').predictMs(1) };
      }
    }
    return best;
  }

  /** False: whoever takes batches of this model has said goodbye, or never asked for one: none will follow. */
  hasHome(model: string): boolean {
    return this.slotsOf(model).some((slot) => slot.asked && !slot.leaving);
  }

  /** True: somebody takes batches of this model here. A worker that keeps this batcher as its second only says hello. */
  serving(model: string): boolean {
    return this.slotsOf(model).some((slot) => !slot.leaving && slot.healthy && (slot.free > 0 || slot.inFlight > 0));
  }

  /** What is under way there is ended by its number: nobody looks for its slot. */
  #remove(slot: Slot): void {
    const siblings = this.#byWorker.get(slot.worker) ?? [];
    siblings.splice(siblings.indexOf(slot), 1);
    this.#keepSlots(slot.model, (other) => other !== slot);
  }

  #keepSlots(model: string, keep: (slot: Slot) => boolean): void {
    const slots = this.slotsOf(model).filter(keep);
    if (slots.length === 0) this.#byModel.delete(model);
    else this.#byModel.set(model, slots);
  }

  #find(worker: string, model: string): Slot | undefined {
    return this.slotsOf(model).find((slot) => slot.worker === worker);
  }
}
