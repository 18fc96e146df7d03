import type { Bus } from '@spillway/bus/bus';
import { type Batch, batcherMessageCodec, replyFrameCodec } from '@spillway/contracts/messages';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import type { JobResult, Reply } from '../core/executor-messages.ts';
import { HeldReplies } from '../core/held-replies.ts';
import { failedJob, replyItem } from '../core/model-runner.ts';
import { packReplies } from '../core/reply-frames.ts';

/** Room for subject and headers below the server's `max_payload`. */
const PAYLOAD_MARGIN_BYTES = 1_024;

/** The whole message again: for batches that failed as a whole, and for traces. Undefined: it cannot be read. */
export function decodeBatch(message: Uint8Array): Batch | undefined {
  try {
    return batcherMessageCodec.decode(message).batch ?? undefined;
  } catch {
    return undefined;
  }
}

type ReplyBus = Pick<Bus, 'publish' | 'maxPayload' | 'onUp'>;

/**
 * Sends answers to the gateways' inboxes, one frame for each batch and gateway, at most once. While the bus is away they wait for
 * a few seconds; a gateway that is gone or cut off for longer answers its callers by their deadline.
 */
export class ReplyPublisher {
  readonly #bus: ReplyBus;
  readonly #clock: Clock;
  readonly #onLost: (frames: number) => void;
  readonly #held = new HeldReplies();

  /** @param onLost Nobody gets these frames: the bus was away for too long, or closes. */
  constructor(bus: ReplyBus, clock: Clock, onLost: (frames: number) => void) {
    this.#bus = bus;
    this.#clock = clock;
    this.#onLost = onLost;
    bus.onUp(() => {
      const { replies, expired } = this.#held.take(clock.now());
      if (expired > 0) onLost(expired);
      this.publish(replies);
    });
  }

  publish(replies: readonly Reply[]): void {
    let lost = 0;
    const unsent = replies.filter(({ subject, frame }) => {
      try {
        return !this.#bus.publish(subject, this.#fit(frame));
      } catch {
        lost += 1; // the bus is closing: the drain was over before this batch
        return false;
      }
    });
    if (unsent.length > 0) lost += this.#held.add(unsent, this.#clock.now());
    if (lost > 0) this.#onLost(lost);
  }

  /** Answers every request of a batch that failed as a whole. @returns Its jobs' results, for the result store. */
  fail(batch: Batch, worker: string, error: SpillwayError): JobResult[] {
    const { batchId, model, version, variant, rows: batchRows, closedBy, replyTo, items } = batch;
    const facts = { worker, batchId, model, version, variant, batchRows, runMs: 0, closedBy };
    const synchronous = items.filter((item) => !item.job);
    this.publish(
      packReplies(
        facts,
        replyTo,
        synchronous.map((item) => ({ replyTo: item.replyTo, item: replyItem(item, error) })),
      ),
    );
    return items.flatMap((item) => (item.job ? [failedJob(item.job, error, item.queueMs)] : []));
  }

  /** The server would close the connection over a larger frame: its one answer becomes an error that says so. */
  #fit(frame: Uint8Array): Uint8Array {
    const max = this.#bus.maxPayload - PAYLOAD_MARGIN_BYTES;
    if (frame.length <= max) return frame;
    const message = `the answer has ${frame.length} bytes, expected at most ${max} (max_payload of NATS)`;
    const error = new SpillwayError('PAYLOAD_TOO_LARGE', message, { reason: 'max_payload' });
    const decoded = replyFrameCodec.decode(frame);
    return replyFrameCodec.encode({ ...decoded, items: decoded.items.map((item) => replyItem(item, error)) });
  }
}
