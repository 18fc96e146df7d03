import type { Bus } from '@spillway/bus/bus';
import { bury, storeResult } from '@spillway/bus/job-end';
import { type AckSubject, parseAckSubject } from '@spillway/bus/pull';
import { readMessage } from '@spillway/bus/stream-messages';
import { HEADERS } from '@spillway/contracts/headers';
import { answerMessage, deadJob, errorMessage, type Made } from '@spillway/contracts/job-messages';
import type { Job } from '@spillway/contracts/messages';
import { JOBS_STREAM, jobsConsumer } from '@spillway/contracts/streams';
import { isErrorCode } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toJetstream } from '@spillway/errors/to-jetstream';
import type { WallClock } from '@spillway/lifecycle/clock';
import { crashPoint } from '@spillway/lifecycle/crash-point';
import { InFlight } from '@spillway/lifecycle/in-flight';
import type { JobResult } from '../core/executor-messages.ts';
import { jobReceipt, type RunFacts } from '../core/job-receipt.ts';

const ACK = Buffer.from('+ACK');
const TERM = Buffer.from('+TERM');
const NAK = Buffer.from('-NAK');
const NS_PER_MS = 1_000_000;
/** The same for every class and model. */
const { maxDeliver } = jobsConsumer('bulk', 'any', 0);

export type JobOutcome = 'stored' | 'already_stored' | 'failed' | 'again';
/** Of a receipt: it went no further. */
const FAILED = { [HEADERS.rung]: 'failed' };
type Outcome = { outcome: JobOutcome; error?: SpillwayError };

/**
 * Ends jobs: the result is stored first, then the job is acknowledged, so a crash between the two makes a second run whose
 * result the stream refuses. What failed for good is stored as an error and copied to the dead letters; what may work next
 * time is handed back with a delay.
 */
export class ResultStore {
  readonly #bus: Bus;
  readonly #wallClock: WallClock;
  readonly #onOutcome: (job: Job, outcome: JobOutcome, error?: SpillwayError) => void;
  readonly #inFlight = new InFlight();

  /**
   * @param wallClock Compared with the time at which NATS stored a job, to say how long it waited; and results say by it when they
   *   were made.
   */
  constructor(
    bus: Bus,
    wallClock: WallClock,
    onOutcome: (job: Job, outcome: JobOutcome, error?: SpillwayError) => void,
  ) {
    this.#bus = bus;
    this.#wallClock = wallClock;
    this.#onOutcome = onOutcome;
  }

  /** Never throws: what cannot be stored now is handed back. */
  async settle(result: JobResult, run: RunFacts): Promise<void> {
    this.#inFlight.begin();
    try {
      const { outcome, error } = await this.#settle(result, run);
      this.#onOutcome(result.job, outcome, error);
    } catch (thrown) {
      this.#tell(result.job, NAK);
      this.#onOutcome(result.job, 'again', SpillwayError.from(thrown));
    } finally {
      this.#inFlight.end();
    }
  }

  /** False: some are still on their way after `timeoutMs`. */
  idle(timeoutMs: number): Promise<boolean> {
    return this.#inFlight.idle(timeoutMs);
  }

  async #settle(result: JobResult, run: RunFacts): Promise<Outcome> {
    const { job, errorCode, payload } = result;
    const delivery = parseAckSubject(job.ackSubject);
    const made = { model: run.model, madeAtMs: this.#wallClock.epochMs() };
    const receipt = this.#receipt(result, run, delivery);
    if (errorCode !== '') {
      const code = isErrorCode(errorCode) ? errorCode : 'INTERNAL';
      const error = new SpillwayError(code, result.errorMessage, { reason: result.errorReason || undefined });
      return this.#fail(job, made, error, receipt, delivery);
    }
    try {
      crashPoint('worker.after-run-before-result');
      const { first } = await storeResult(this.#bus, answerMessage(job, made, payload, receipt));
      crashPoint('worker.after-result-before-ack');
      this.#tell(job, ACK);
      return { outcome: first ? 'stored' : 'already_stored' };
    } catch (thrown) {
      const error = SpillwayError.from(thrown);
      if (error.code !== 'PAYLOAD_TOO_LARGE') throw error;
      return this.#fail(job, made, error, receipt, delivery); // no repetition makes it smaller
    }
  }

  #receipt({ job, queueMs: heldMs }: JobResult, run: RunFacts, { storedAtMs, deliveries }: AckSubject) {
    const sinceStoredMs = this.#wallClock.epochMs() - storedAtMs - run.runMs;
    const queueMs = sinceStoredMs > heldMs ? sinceStoredMs : heldMs; // a job waits in its stream, not only in the batcher
    return jobReceipt(job, run, { queueMs, deliveries });
  }

  async #fail(
    job: Job,
    made: Made,
    error: SpillwayError,
    receipt: Record<string, string>,
    { deliveries, streamSeq }: AckSubject,
  ): Promise<Outcome> {
    const action = toJetstream(error, deliveries, maxDeliver);
    switch (action.kind) {
      case 'nak': {
        const delay = Buffer.from(`-NAK ${JSON.stringify({ delay: Math.round(action.delayMs * NS_PER_MS) })}`);
        this.#tell(job, delay);
        return { outcome: 'again', error };
      }
      case 'ack':
        this.#tell(job, ACK);
        return { outcome: 'already_stored' };
      case 'term': {
        const stored = await storeResult(this.#bus, errorMessage(job, made, error, { ...receipt, ...FAILED }));
        if (action.deadLetter && stored.failed) {
          const frame = await readMessage(this.#bus, JOBS_STREAM, { seq: streamSeq }); // as it was published: it can be again
          await bury(this.#bus, deadJob(job, error, frame?.payload, deliveries));
        }
        this.#tell(job, TERM);
        return stored.failed ? { outcome: 'failed', error } : { outcome: 'already_stored' };
      }
    }
  }

  /** What is lost with the bus, `ack_wait` makes good: the job comes again, and its result is there. */
  #tell(job: Job, what: Uint8Array): void {
    try {
      this.#bus.publish(job.ackSubject, what);
    } catch {
      // the bus is closing
    }
  }
}
