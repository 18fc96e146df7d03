import type { CloseReason } from './batch-queue.ts';
import type { Instance } from './instance.ts';
import type { Slot } from './slot.ts';
import type { Work } from './work.ts';

/** A batch that left, or is about to. */
export type Dispatch = {
  readonly batchId: string;
  readonly model: string;
  readonly slot: Slot;
  readonly instance: Instance;
  readonly work: Work[];
  readonly rows: number;
  readonly closedBy: CloseReason;
  readonly sentAtMs: number;
  readonly predictedMs: number;
  /** Rows that it could have had. */
  readonly fullRows: number;
  /** Nothing was left that waits. */
  readonly short: boolean;
  /** How long its instance had had nothing to do. */
  readonly idleMs: number;
  /** What other models had at its worker when it left for an instance without other batches; undefined: it had one. */
  readonly behindMs: number | undefined;
  /** Its instance became suspect and what can still finish went elsewhere: nothing is done about its requests any more. */
  withdrawn: boolean;
  /** Of the batch span; empty: no request in it is sampled. */
  traceparent: string;
};

/**
 * The batches at the workers, until each says that it is done or its worker is lost. A list, because there are few (two for
 * each slot of a worker): a Map that is filled and emptied all the time is copied over and over, and its abandoned copies keep
 * finished batches alive until the next full collection.
 */
export class InFlightBatches {
  #batches: Dispatch[] = [];

  get size(): number {
    return this.#batches.length;
  }

  add(dispatch: Dispatch): void {
    this.#batches.push(dispatch);
  }

  /** Undefined: not ours, done before, or its worker was given up. A worker ends only its own batches. */
  take(worker: string, batchId: string): Dispatch | undefined {
    const place = this.#batches.findIndex(
      (dispatch) => dispatch.batchId === batchId && dispatch.slot.worker === worker,
    );
    return place === -1 ? undefined : this.#batches.splice(place, 1)[0];
  }

  /** What an instance has, and was not taken back from it. */
  heldBy(instance: Instance): Dispatch[] {
    return this.#batches.filter((dispatch) => dispatch.instance === instance && !dispatch.withdrawn);
  }

  /** The oldest batch of each instance: what follows it there is staged. */
  running(): Dispatch[] {
    const instances = new Set<Instance>();
    return this.#batches.filter(({ instance, withdrawn }) => {
      if (withdrawn || instances.has(instance)) return false;
      instances.add(instance);
      return true;
    });
  }

  takeAllOf(worker: string): Dispatch[] {
    const lost = this.#batches.filter((dispatch) => dispatch.slot.worker === worker);
    this.#batches = this.#batches.filter((dispatch) => dispatch.slot.worker !== worker);
    return lost;
  }
}
