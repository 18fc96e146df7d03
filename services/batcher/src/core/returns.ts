import type { HeldFrames } from './frames.ts';
import type { Dispatch } from './in-flight.ts';
import type { Instance } from './instance.ts';
import type { Work } from './work.ts';

/** Why a batch comes back, as a counter of its requests: its executor or worker ended, its instance is silent, it was not started. */
export type Cause = 'losses' | 'hangs' | 'returns';

/**
 * A request comes back this often. One that ends or hangs what runs it must not end or hang all; a batch that was not started
 * has harmed nobody.
 */
export const MOST: Record<Cause, number> = { losses: 2, hangs: 3, returns: 4 };
/** From here on it runs alone, so that the others of its batch do not suffer with it. A worker may be lost for reasons of its own. */
const ALONE: Record<Cause, number> = { losses: Number.POSITIVE_INFINITY, hangs: 2, returns: Number.POSITIVE_INFINITY };
/** Until a job whose worker was lost is delivered again: at once would be to this batcher, before it knows who is left to run it. */
const JOB_RETRY_MS = 500;

/**
 * What became of batches that did not run to their end. `requeued` wait here again, at the head of their class; `expired` are
 * past their deadline; `abandoned` requests and `deadJobs` have used up their chances: somebody must say so.
 */
export type Returned = { requeued: Work[]; expired: Work[]; abandoned: Work[]; deadJobs: Work[] };

/** A worker ended a batch. `lateRows`: of those that ran, how many were past their deadline at the end. */
export type Ended = Returned & { dispatch: Dispatch; lateRows: number };

/**
 * What a tick found: requests that are not to run, instances that are silent for too long and what was taken back from them,
 * models in which something may leave now.
 */
export type Ticked = { expired: Work[]; suspects: Instance[]; withdrawn: Returned; models: string[] };

/** Decides what becomes of requests and jobs whose batch did not run. */
export class Returns {
  readonly #frames: HeldFrames;
  readonly #requeue: (work: Work) => void;

  constructor(frames: HeldFrames, requeue: (work: Work) => void) {
    this.#frames = frames;
    this.#requeue = requeue;
  }

  none(): Returned {
    return { requeued: [], expired: [], abandoned: [], deadJobs: [] };
  }

  /**
   * @param untilMs Who has no more time than this does not run again.
   * @param alone Each in a batch of its own: one of them is known to be the cause.
   */
  putBack(dispatch: Dispatch, into: Returned, cause: Cause, untilMs: number, alone = false): void {
    if (dispatch.withdrawn) return;
    for (const work of dispatch.work) {
      work[cause] += 1;
      if (work.frame.durable && (cause === 'losses' || work[cause] >= MOST[cause])) this.#putBackJob(work, into);
      else if (work.frame.handedBack)
        continue; // it comes again with the rest of its frame
      else if (work.deadlineMs <= untilMs) into.expired.push(work);
      else if (work[cause] >= MOST[cause]) into.abandoned.push(work);
      else {
        work.orderMs = Number.NEGATIVE_INFINITY;
        if (alone || work[cause] >= ALONE[cause]) work.key = `${work.key}\n${work.frame.gateway}.${work.item.seq}`;
        this.#requeue(work);
        into.requeued.push(work);
      }
    }
  }

  /** JetStream counts the deliveries of a job, over all batchers. */
  #putBackJob(work: Work, into: Returned): void {
    if (!work.frame.lastDelivery) this.#frames.handBack(work.frame, JOB_RETRY_MS);
    else {
      this.#frames.leave(work.frame);
      into.deadJobs.push(work);
    }
  }
}
