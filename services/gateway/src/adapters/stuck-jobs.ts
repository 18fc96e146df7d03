import type { Bus } from '@spillway/bus/bus';
import { bury, storeResult } from '@spillway/bus/job-end';
import { deleteMessage, readConsumers, readMessage, type StreamEntry } from '@spillway/bus/stream-messages';
import { deadJob, errorMessage } from '@spillway/contracts/job-messages';
import { type Job, type WorkFrame, workFrameCodec } from '@spillway/contracts/messages';
import { JOBS_STREAM, jobsConsumer, STUCK_JOBS } from '@spillway/contracts/streams';
import { SpillwayError } from '@spillway/errors/spillway-error';

export type StuckJobsOptions = {
  bus: Bus;
  /** For the time that results say. */
  epochMs: () => number;
  onEnded: (facts: { job: string; tenant: string; model: string; deliveries: number }) => void;
  onFault: (error: SpillwayError) => void;
};

/** For what no advisory reached a gateway: it was sent once, to one of them. A request or two for each idle consumer. */
const SWEEP_MS = 60_000;
const { maxDeliver } = jobsConsumer('bulk', 'any', 0);

const exhausted = (deliveries: number): SpillwayError =>
  new SpillwayError('BACKEND_FAILED', `the job was delivered ${deliveries} times, and nobody could end it`, {
    reason: 'max_deliveries',
  });

/**
 * Ends jobs whose last delivery died with whoever held it: JetStream neither delivers them again nor lets go of them. All gateways
 * may do so at the same time: results and dead letters are kept once.
 */
export class StuckJobs {
  readonly #options: StuckJobsOptions;
  readonly #leave: () => void;
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor(options: StuckJobsOptions) {
    const { bus } = options;
    this.#options = options;
    const advisories = bus.subscribe(STUCK_JOBS, ({ payload }) => void this.#advised(payload), { queue: 'gateways' });
    const stopUp = bus.onUp(() => void this.sweep());
    this.#leave = () => {
      advisories.stop();
      stopUp();
    };
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS);
    this.#timer.unref();
  }

  /**
   * Looks for jobs that are neither waiting nor delivered to anybody: what is still in the stream at or below the place up to which
   * a consumer has ended everything.
   */
  async sweep(): Promise<void> {
    const { bus } = this.#options;
    if (!bus.up) return;
    try {
      for (const { filter, pending, unacknowledged, floor, delivered } of await readConsumers(bus, JOBS_STREAM)) {
        const upTo = pending === 0 && unacknowledged === 0 ? delivered : floor;
        for (let seq = 1; seq <= upTo; seq += 1) {
          const found = await readMessage(bus, JOBS_STREAM, { next: filter, seq });
          if (found === undefined || found.seq > upTo || this.#closed) break;
          await this.#end(found, maxDeliver);
          seq = found.seq;
        }
      }
    } catch (thrown) {
      this.#say(thrown); // the next sweep is soon enough
    }
  }

  async #advised(payload: Uint8Array): Promise<void> {
    const { bus } = this.#options;
    try {
      const advisory = JSON.parse(Buffer.from(payload).toString()) as { stream_seq: number; deliveries: number };
      const found = await readMessage(bus, JOBS_STREAM, { seq: advisory.stream_seq });
      if (found !== undefined) await this.#end(found, advisory.deliveries);
    } catch (thrown) {
      this.#say(thrown); // the sweep finds it
    }
  }

  async #end({ seq, payload }: StreamEntry, deliveries: number): Promise<void> {
    const { bus, epochMs, onEnded } = this.#options;
    const frame = decode(payload);
    const job = frame?.items[0]?.job;
    if (frame !== undefined && job) {
      const error = exhausted(deliveries);
      const { failed } = await storeResult(bus, errorMessage(job, { model: frame.model, madeAtMs: epochMs() }, error));
      if (failed) await bury(bus, deadJob(job, error, payload, deliveries)); // else only its acknowledgement was lost
    }
    if (await deleteMessage(bus, JOBS_STREAM, seq)) onEnded(factsOf(frame, job, deliveries));
  }

  #say(thrown: unknown): void {
    if (!this.#closed) this.#options.onFault(SpillwayError.from(thrown));
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#leave();
  }
}

/** Undefined: no frame; batchers say so in their logs. */
function decode(payload: Uint8Array): WorkFrame | undefined {
  try {
    return workFrameCodec.decode(payload);
  } catch {
    return undefined;
  }
}

const factsOf = (frame: WorkFrame | undefined, job: Job | null | undefined, deliveries: number) => ({
  job: job?.job ?? '',
  tenant: job?.tenant ?? '',
  model: frame?.model ?? '',
  deliveries,
});
