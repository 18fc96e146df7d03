import type { ServedModel } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import { CostModel } from './cost-model.ts';

/** More than any worker has use for: a wrong count must not make the batcher pour everything into one stream. */
const MOST_CREDITS = 1_024;

/** What one worker does for one model. `worker` names its stream, not its process: a reconnect is another worker. */
export type Slot = {
  readonly worker: string;
  readonly model: string;
  versions: ReadonlySet<string>;
  /** Rows of a batch, ≥ 1. */
  readonly maxRows: number;
  /** Batches that run at the same time. */
  readonly width: number;
  readonly cost: CostModel;
  /** Batches it would take now. */
  free: number;
  inFlight: number;
  /** Sum of the predictions of what is in flight, ms. */
  inFlightMs: number;
  /** When the running batch began, as far as this side can tell. */
  runningSinceMs: number;
  /** It has asked for a batch on this stream: this batcher is (or was) its home. */
  asked: boolean;
  leaving: boolean;
};

/** Permissions to send batches, by worker and model. */
export class Credits {
  readonly #clock: Clock;
  readonly #byModel = new Map<string, Slot[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A worker that says hello again has loaded or released something; its credits stay. */
  join(worker: string, served: ServedModel): Slot {
    const known = this.#find(worker, served.model);
    if (known !== undefined) {
      known.versions = new Set(served.versions);
      return known;
    }
    const maxRows = Math.max(1, served.maxBatchSize);
    const slot: Slot = {
      worker,
      model: served.model,
      versions: new Set(served.versions),
      maxRows,
      width: Math.max(1, served.slots),
      cost: new CostModel(this.#clock, { runMsOne: served.runMsOne, runMsFull: served.runMsFull, maxRows }),
      free: 0,
      inFlight: 0,
      inFlightMs: 0,
      runningSinceMs: 0,
      asked: false,
      leaving: false,
    };
    const slots = this.#byModel.get(served.model);
    if (slots === undefined) this.#byModel.set(served.model, [slot]);
    else slots.push(slot);
    return slot;
  }

  /** False: the worker did not name this model, or it leaves. */
  grant(worker: string, model: string, batches: number): boolean {
    const slot = this.#find(worker, model);
    if (slot === undefined || slot.leaving) return false;
    slot.asked = true;
    slot.free = Math.min(MOST_CREDITS, slot.free + batches);
    return true;
  }

  /** Nothing further goes to this worker. @returns its models. */
  stop(worker: string): string[] {
    const models: string[] = [];
    for (const slot of this.#all()) {
      if (slot.worker !== worker) continue;
      slot.leaving = true;
      slot.free = 0;
      models.push(slot.model);
    }
    return models;
  }

  /** @returns the models that this worker served. */
  leave(worker: string): string[] {
    const models = this.stop(worker);
    for (const model of models) {
      const slots = this.slotsOf(model).filter((slot) => slot.worker !== worker);
      if (slots.length === 0) this.#byModel.delete(model);
      else this.#byModel.set(model, slots);
    }
    return models;
  }

  slotsOf(model: string): readonly Slot[] {
    return this.#byModel.get(model) ?? [];
  }

  /** Slots that would take a batch, the freest first; of equals the one with less to do. */
  free(model: string): readonly Slot[] {
    const slots = this.slotsOf(model);
    if (slots.length === 1) return (slots[0] as Slot).free > 0 ? slots : [];
    return slots.filter((slot) => slot.free > 0).sort((a, b) => b.free - a.free || a.inFlightMs - b.inFlightMs);
  }

  /** False: whoever takes batches of this model has said goodbye, or never asked for one: none will follow. */
  hasHome(model: string): boolean {
    return this.slotsOf(model).some((slot) => slot.asked && !slot.leaving);
  }

  /** True: somebody takes batches of this model here. A worker that keeps this batcher as its second only says hello. */
  serving(model: string): boolean {
    return this.slotsOf(model).some((slot) => !slot.leaving && (slot.free > 0 || slot.inFlight > 0));
  }

  sent(slot: Slot, predictedMs: number): void {
    slot.free -= 1;
    if (slot.inFlight < slot.width) slot.runningSinceMs = this.#clock.now();
    slot.inFlight += 1;
    slot.inFlightMs += predictedMs;
  }

  ended(slot: Slot, predictedMs: number): void {
    slot.inFlight -= 1;
    slot.inFlightMs = slot.inFlight === 0 ? 0 : slot.inFlightMs - predictedMs;
    slot.runningSinceMs = this.#clock.now();
  }

  /** Until a further batch could begin to run there, ms: 0 while one of its places is empty. */
  startInMs(slot: Slot): number {
    if (slot.inFlight < slot.width) return 0;
    return Math.max(0, slot.inFlightMs / slot.width - (this.#clock.now() - slot.runningSinceMs));
  }

  #find(worker: string, model: string): Slot | undefined {
    return this.slotsOf(model).find((slot) => slot.worker === worker);
  }

  *#all(): Iterable<Slot> {
    for (const slots of this.#byModel.values()) yield* slots;
  }
}
