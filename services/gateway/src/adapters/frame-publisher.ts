import type { Bus } from '@spillway/bus/bus';
import { type WorkFrame, workFrameCodec } from '@spillway/contracts/messages';
import { workSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { ATTRIBUTES, SPANS } from '@spillway/telemetry/names';
import { recordSpan } from '@spillway/telemetry/spans';
import type { Outgoing } from '../core/turn-buffer.ts';

export type FramePublisher = {
  /**
   * Publishes; requests of a frame that the stream refuses are failed, the others are answered by a worker.
   * @returns Settled when the stream has taken or refused the frame; never rejects.
   */
  publish(frame: Outgoing): Promise<void>;
};

/** Waiting longer for JetStream's acknowledgement helps nobody: the deadline is near or the bus is gone. */
const ACK_TIMEOUT_MS = 1_000;

export function framePublisher(options: {
  bus: Bus;
  clock: Clock;
  replyTo: string;
  fail: (seq: number, error: SpillwayError) => void;
  /** The stream has no room for this model and class. */
  full: (frame: Outgoing) => void;
}): FramePublisher {
  const { bus, clock, replyTo, fail, full } = options;
  const traceEnqueue = (frame: Outgoing, startMs: number, error?: SpillwayError) => {
    for (const { traceparent } of frame.items) {
      if (traceparent === '') continue;
      recordSpan({
        name: SPANS.enqueue,
        traceparent,
        startMs,
        endMs: clock.now(),
        kind: 'producer',
        attributes: { [ATTRIBUTES.model]: frame.model, [ATTRIBUTES.trafficClass]: frame.trafficClass },
        ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
      });
    }
  };
  return {
    publish: (frame) => {
      const sentMs = clock.now();
      const message: WorkFrame = { gateway: bus.instance, replyTo, sentMs, ...frame };
      const bytes = workFrameCodec.encode(message);
      if (bytes.byteLength > bus.maxPayload) {
        const error = new SpillwayError(
          'PAYLOAD_TOO_LARGE',
          `the request is larger than the ${bus.maxPayload} bytes a message may have`,
        );
        for (const { seq } of frame.items) fail(seq, error);
        return Promise.resolve();
      }
      return bus
        .publishToStream(workSubject(frame.trafficClass, frame.model), bytes, { timeoutMs: ACK_TIMEOUT_MS })
        .then(
          () => traceEnqueue(frame, sentMs),
          (thrown: unknown) => {
            const error = refusedBy(thrown);
            if (error.reason === 'queue_bound') full(frame);
            traceEnqueue(frame, sentMs, error);
            for (const { seq } of frame.items) fail(seq, error);
          },
        );
    },
  };
}

/** A subject that holds its most frames is a full queue here, not a first writer who won. */
function refusedBy(thrown: unknown): SpillwayError {
  const error = SpillwayError.from(thrown);
  if (error.code !== 'CONFLICT') return error;
  return SpillwayError.refusal('OVERLOADED', 'the queue of this model and class is at its bound', {
    reason: 'queue_bound',
    retryAfterMs: 1_000,
    autoRetry: false,
  });
}
