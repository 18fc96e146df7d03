import type { Bus, PubAck } from '@spillway/bus/bus';
import type { TrafficClass } from '@spillway/contracts/classes';
import { type WorkFrame, workFrameCodec } from '@spillway/contracts/messages';
import { dlqSubject, jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { isSpillwayError, SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { ATTRIBUTES, SPANS } from '@spillway/telemetry/names';
import { recordSpan } from '@spillway/telemetry/spans';
import { deadLetter, errorResult } from '../core/event-refusal.ts';
import type { EventMessage, JobAddress } from '../core/event-request.ts';
import type { Prepared } from '../core/pipeline.ts';

/** `traceparent` is the request span's and empty if it is not sampled; `parent` came with the event. */
export type DurableJob = {
  address: JobAddress;
  originSubject: string;
  trafficClass: TrafficClass;
  /** On the gateway's clock; Infinity: none. */
  deadlineMs: number;
  parent: string;
  traceparent: string;
  prepared: Prepared;
};

/** The durable side of the mesh as the doors write it. Every call resolves when JetStream has acknowledged. */
export type JobStream = {
  /** @throws SpillwayError `OVERLOADED`, `UNAVAILABLE`, `PAYLOAD_TOO_LARGE`. */
  publish(job: DurableJob): Promise<PubAck>;
  /** Stores an error in place of a result, unless there is one: the first writer wins. @throws SpillwayError. */
  storeError(address: JobAddress, error: SpillwayError, requestId: string): Promise<void>;
  /** @throws SpillwayError. */
  bury(event: EventMessage & { deliveries: number }, job: string | undefined, error: SpillwayError): Promise<void>;
};

/** The wire's number for a deadline that never comes: the field is a float of milliseconds. */
const NO_DEADLINE_MS = 24 * 60 * 60 * 1_000;
/** The server counts headers into its `max_payload`. */
const HEADER_BYTES = 16 * 1_024;

/** A frame of its own for each job: an acknowledgement is of one message. */
function jobFrame(job: DurableJob, gateway: string, nowMs: number): WorkFrame {
  const { prepared, address, originSubject, trafficClass } = job;
  const { item, route, model } = prepared;
  return {
    gateway,
    replyTo: '',
    sentMs: nowMs,
    model: model.model,
    trafficClass,
    routes: [route],
    items: [
      {
        ...item,
        budgetMs: Math.min(NO_DEADLINE_MS, Math.max(0, job.deadlineMs - nowMs)),
        job: { ...address, ackSubject: '', originSubject, traceparent: job.traceparent || job.parent },
      },
    ],
  };
}

export function jobStream({ bus, clock }: { bus: Bus; clock: Clock }): JobStream {
  const maxBytes = () => bus.maxPayload - HEADER_BYTES;
  const msgIdOf = ({ tenant, job }: JobAddress) => `${tenant}.${job}`;
  return {
    publish: async (job) => {
      const { trafficClass, traceparent } = job;
      const { model } = job.prepared.model;
      const startMs = clock.now();
      const bytes = workFrameCodec.encode(jobFrame(job, bus.instance, startMs));
      if (bytes.byteLength > maxBytes()) {
        throw new SpillwayError(
          'PAYLOAD_TOO_LARGE',
          `the job is larger than the ${maxBytes()} bytes a message may have`,
          {
            reason: 'max_payload',
          },
        );
      }
      const attributes = { [ATTRIBUTES.model]: model, [ATTRIBUTES.trafficClass]: trafficClass };
      const trace = (error?: SpillwayError) =>
        recordSpan({
          name: SPANS.enqueue,
          traceparent,
          startMs,
          endMs: clock.now(),
          kind: 'producer',
          attributes,
          error,
        });
      try {
        const ack = await bus.publishToStream(jobsSubject(trafficClass, model), bytes, { msgId: msgIdOf(job.address) });
        trace();
        return ack;
      } catch (thrown) {
        const error = SpillwayError.from(thrown);
        trace(error);
        throw error;
      }
    },
    storeError: async (address, error, requestId) => {
      const { payload, headers } = errorResult(error, requestId);
      const subject = resultSubject(address.tenant, address.job);
      await bus.publishToStream(subject, payload, { msgId: msgIdOf(address), headers }).catch((thrown: unknown) => {
        if (!isSpillwayError(thrown) || thrown.code !== 'CONFLICT') throw thrown;
      });
    },
    bury: async (event, job, error) => {
      const { payload, headers } = deadLetter(event, job, error, maxBytes());
      const msgId = `dlq.events.${event.streamSeq}`; // a crash before `term` must not make a second copy
      await bus.publishToStream(dlqSubject(error.code), payload, { msgId, headers });
    },
  };
}
