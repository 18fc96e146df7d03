import type { CloseReason } from './batch-queue.ts';
import type { Slot } from './credits.ts';
import type { Work } from './work.ts';

/** A batch that left, or is about to. */
export type Dispatch = {
  readonly batchId: string;
  readonly model: string;
  readonly slot: Slot;
  readonly work: Work[];
  readonly rows: number;
  readonly closedBy: CloseReason;
  readonly sentAtMs: number;
  readonly predictedMs: number;
  /** Of the batch span; empty: no request in it is sampled. */
  traceparent: string;
};

/** The batches at the workers, until each says that it is done or its worker is lost. */
export class InFlightBatches {
  readonly #byId = new Map<string, Dispatch>();

  get size(): number {
    return this.#byId.size;
  }

  add(dispatch: Dispatch): void {
    this.#byId.set(dispatch.batchId, dispatch);
  }

  /** Undefined: not ours, done before, or its worker was given up. A worker ends only its own batches. */
  take(worker: string, batchId: string): Dispatch | undefined {
    const dispatch = this.#byId.get(batchId);
    if (dispatch === undefined || dispatch.slot.worker !== worker) return undefined;
    this.#byId.delete(batchId);
    return dispatch;
  }

  takeAllOf(worker: string): Dispatch[] {
    const lost = [...this.#byId.values()].filter((dispatch) => dispatch.slot.worker === worker);
    for (const { batchId } of lost) this.#byId.delete(batchId);
    return lost;
  }
}
