import type { Bus, PubAck } from '@spillway/bus/bus';
import { bury, repeatResult, storeResult } from '@spillway/bus/job-end';
import type { TrafficClass } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import { errorMessage, HEADER_BYTES, jobKey } from '@spillway/contracts/job-messages';
import { type Job, type WorkFrame, workFrameCodec } from '@spillway/contracts/messages';
import { jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { ATTRIBUTES, SPANS } from '@spillway/telemetry/names';
import { parseTraceparent } from '@spillway/telemetry/propagation';
import { recordSpan } from '@spillway/telemetry/spans';
import { type EventMessage, headersToKeep, type JobAddress } from '../core/event-envelope.ts';
import type { Prepared } from '../core/pipeline.ts';

/** `traceparent` is the request span's and empty if it is not sampled; `parent` came with the event. */
export type DurableJob = {
  address: JobAddress;
  /** What its result is made with. */
  origin?: Partial<Pick<Job, 'originSeq' | 'outputs' | 'replyTo' | 'event' | 'replay'>>;
  originSubject: string;
  trafficClass: TrafficClass;
  /** On the gateway's clock; Infinity: none. */
  deadlineMs: number;
  parent: string;
  traceparent: string;
  tracestate: string;
  prepared: Prepared;
  /** SHA-256 (hex) of what was asked. Absent: nobody will hold a repetition against it. */
  digest?: string;
};

/** The durable side of the mesh as the doors write it. Every call resolves when JetStream has acknowledged. */
export type JobStream = {
  /** @throws SpillwayError `OVERLOADED`, `UNAVAILABLE`, `PAYLOAD_TOO_LARGE`. */
  publish(job: DurableJob): Promise<PubAck>;
  /** Stores an error in place of a result, unless there is one: the first writer wins. @throws SpillwayError. */
  storeError(
    address: JobAddress & Partial<Job>,
    error: SpillwayError,
    requestId: string,
    model?: string,
  ): Promise<void>;
  /** Says an error where the publisher wants its result as well, and stores nothing: what is stored there is another request's. */
  tellError(address: JobAddress & Partial<Job>, error: SpillwayError, requestId: string, model: string): void;
  /** Says there what is stored of the job, if it has ended. @throws SpillwayError. */
  tellAgain(address: JobAddress & Partial<Job>): Promise<void>;
  /** Keeps a copy of an event that can be published again. @throws SpillwayError. */
  bury(event: EventMessage & { deliveries: number }, job: string | undefined, error: SpillwayError): Promise<void>;
};

/** `epochMs` is the time that results say. */
export type JobStreamOptions = { bus: Bus; clock: Clock; epochMs: () => number };

/** The wire's number for a deadline that never comes: the field is a float of milliseconds. */
const NO_DEADLINE_MS = 24 * 60 * 60 * 1_000;

/** What a job and its result say of its trace: the request's span, else the publisher's, if that can be read. */
export function traceOf(of: Pick<DurableJob, 'parent' | 'traceparent' | 'tracestate'>): {
  traceparent: string;
  tracestate?: string;
} {
  const known = parseTraceparent(of.parent) !== undefined;
  const traceparent = of.traceparent || (known ? of.parent : '');
  return known && of.tracestate !== '' ? { traceparent, tracestate: of.tracestate } : { traceparent };
}

/** A frame of its own for each job: an acknowledgement is of one message. */
function jobFrame(job: DurableJob, gateway: string, nowMs: number): WorkFrame {
  const { prepared, address, originSubject, origin, trafficClass } = job;
  const { item, route, model, degraded = '' } = prepared;
  const { requestId } = item;
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
        job: {
          ...address,
          ...origin,
          ackSubject: '',
          originSubject,
          trafficClass,
          ...traceOf(job),
          degraded,
          requestId,
        },
      },
    ],
  };
}

type Failed = { address: JobAddress & Partial<Job>; requestId: string; model: string; madeAtMs: number };
const errorOf = ({ address, requestId, model, madeAtMs }: Failed, error: SpillwayError) => {
  const job: Job = { ackSubject: '', originSubject: '', traceparent: '', ...address, requestId };
  return errorMessage(job, { model, madeAtMs }, error);
};

export function jobStream({ bus, clock, epochMs }: JobStreamOptions): JobStream {
  const maxBytes = () => bus.maxPayload - HEADER_BYTES;
  return {
    publish: async (job) => {
      const { trafficClass, traceparent, digest } = job;
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
        const ack = await bus.publishToStream(jobsSubject(trafficClass, model), bytes, {
          msgId: jobKey({ ...job.address, ...job.origin }),
          ...(digest !== undefined && { headers: { [HEADERS.digest]: digest } }),
        });
        trace();
        return ack;
      } catch (thrown) {
        const error = SpillwayError.from(thrown);
        trace(error);
        throw error;
      }
    },
    storeError: async (address, error, requestId, model = '') => {
      await storeResult(bus, errorOf({ address, requestId, model, madeAtMs: epochMs() }, error));
    },
    tellError: (address, error, requestId, model) => {
      const failed = { address, requestId, model, madeAtMs: epochMs() };
      const { replyTo, payload, headers } = errorOf(failed, error);
      if (replyTo !== '') bus.publish(replyTo, payload, { headers });
    },
    tellAgain: async ({ tenant, job, replyTo = '' }) => {
      if (replyTo !== '') await repeatResult(bus, resultSubject(tenant, job), replyTo);
    },
    bury: (event, job, error) =>
      bury(bus, {
        form: 'event',
        payload: event.payload,
        headers: headersToKeep(event),
        job,
        originSubject: event.subject,
        originSeq: event.streamSeq,
        deliveries: event.deliveries,
        error,
        msgId: `dlq.events.${event.streamSeq}`, // a crash before `term` must not make a second copy
      }),
  };
}
