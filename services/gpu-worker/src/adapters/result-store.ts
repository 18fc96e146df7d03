import type { Bus } from '@spillway/bus/bus';
import { parseAckSubject } from '@spillway/bus/pull';
import { HEADERS, NATS_HEADERS } from '@spillway/contracts/headers';
import type { Job } from '@spillway/contracts/messages';
import { jobsConsumer } from '@spillway/contracts/streams';
import { dlqSubject, resultSubject } from '@spillway/contracts/subjects';
import { CATALOGUE, isErrorCode } from '@spillway/errors/catalogue';
import { isSpillwayError, SpillwayError } from '@spillway/errors/spillway-error';
import { toJetstream } from '@spillway/errors/to-jetstream';
import { InFlight } from '@spillway/lifecycle/in-flight';
import type { JobResult } from '../core/executor-messages.ts';

const ACK = Buffer.from('+ACK');
const TERM = Buffer.from('+TERM');
const NAK = Buffer.from('-NAK');
const NS_PER_MS = 1_000_000;
/** The same for every class and model. */
const { maxDeliver } = jobsConsumer('bulk', 'any', 0);

export type JobOutcome = 'stored' | 'already_stored' | 'failed' | 'again';

/**
 * Ends jobs: the result is stored first, then the job is acknowledged, so a crash between the two makes a second run whose
 * result the stream refuses. What failed for good is stored as an error and copied to the dead letters; what may work next
 * time is handed back with a delay.
 */
export class ResultStore {
  readonly #bus: Bus;
  readonly #onOutcome: (job: Job, outcome: JobOutcome, error?: SpillwayError) => void;
  readonly #inFlight = new InFlight();

  constructor(bus: Bus, onOutcome: (job: Job, outcome: JobOutcome, error?: SpillwayError) => void) {
    this.#bus = bus;
    this.#onOutcome = onOutcome;
  }

  /** Never throws: what cannot be stored now is handed back. */
  async settle(result: JobResult): Promise<void> {
    this.#inFlight.begin();
    try {
      const { outcome, error } = await this.#settle(result);
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

  async #settle(result: JobResult): Promise<{ outcome: JobOutcome; error?: SpillwayError }> {
    const { job, errorCode } = result;
    if (errorCode === '') {
      const stored = await this.#store(result);
      this.#tell(job, ACK);
      return { outcome: stored ? 'stored' : 'already_stored' };
    }
    const code = isErrorCode(errorCode) ? errorCode : 'INTERNAL';
    const error = new SpillwayError(code, result.errorMessage, { reason: result.errorReason || undefined });
    const { deliveries } = parseAckSubject(job.ackSubject);
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
      case 'term':
        await this.#store(result, error);
        if (action.deadLetter) await this.#deadLetter(result, error, deliveries);
        this.#tell(job, TERM);
        return { outcome: 'failed', error };
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

  /** @returns False if another worker was first. @throws SpillwayError when it may not be stored. */
  async #store({ job, payload }: JobResult, error?: SpillwayError): Promise<boolean> {
    const headers = error && {
      [NATS_HEADERS.serviceError]: error.message.replaceAll(/\s+/g, ' '), // a header has one line
      [NATS_HEADERS.serviceErrorCode]: String(CATALOGUE[error.code].http),
    };
    try {
      const msgId = `${job.tenant}.${job.job}`;
      const ack = await this.#bus.publishToStream(resultSubject(job.tenant, job.job), payload, {
        msgId,
        ...(headers && { headers }),
      });
      return !ack.duplicate;
    } catch (thrown) {
      if (isSpillwayError(thrown) && thrown.code === 'CONFLICT') return false;
      throw thrown;
    }
  }

  async #deadLetter({ job, payload }: JobResult, error: SpillwayError, deliveries: number): Promise<void> {
    const headers = {
      [HEADERS.error]: error.code,
      [HEADERS.reason]: error.reason ?? '',
      [HEADERS.originSubject]: job.originSubject,
      [HEADERS.job]: job.job,
      [HEADERS.deliveries]: String(deliveries),
    };
    await this.#bus.publishToStream(dlqSubject(error.code), payload, {
      headers,
      msgId: `dlq.${job.tenant}.${job.job}`,
    });
  }
}
