import { CLASSES, isTrafficClass } from '@spillway/contracts/classes';
import type { BatchHead } from './executor-messages.ts';

type Waiting = { head: Pick<BatchHead, 'trafficClass'> };

const rankOf = ({ head: { trafficClass } }: Waiting): number =>
  isTrafficClass(trafficClass) ? CLASSES.indexOf(trafficClass) : CLASSES.length;

/** Batches that found every executor of their model full, by class and arrival. Few: credits bound them. */
export class WaitingBatches<B extends Waiting> {
  #batches: B[] = [];

  get empty(): boolean {
    return this.#batches.length === 0;
  }

  add(batch: B): void {
    const rank = rankOf(batch);
    let at = this.#batches.length;
    while (at > 0 && rankOf(this.#batches[at - 1] as B) > rank) at -= 1;
    this.#batches.splice(at, 0, batch);
  }

  /** The first that this holds for. */
  take(isWanted: (batch: B) => boolean): B | undefined {
    const at = this.#batches.findIndex(isWanted);
    return at === -1 ? undefined : this.#batches.splice(at, 1)[0];
  }

  takeAll(isWanted: (batch: B) => boolean): B[] {
    const taken = this.#batches.filter(isWanted);
    this.#batches = this.#batches.filter((batch) => !taken.includes(batch));
    return taken;
  }
}
