import { CLASSES, type TrafficClass } from './classes.ts';
import { jobsSubject, workSubject } from './subjects.ts';

/** A JetStream stream as data; `packages/bus` applies it and reads it back. Times in ms, sizes in bytes. */
export type StreamSpec = {
  name: string;
  subjects: string[];
  storage: 'memory' | 'file';
  retention: 'workqueue' | 'limits';
  maxBytes: number;
  maxAgeMs: number;
  maxMessagesPerSubject?: number;
  /** How long `Nats-Msg-Id` is remembered. */
  duplicateWindowMs: number;
};

/** A durable pull consumer as data. */
export type ConsumerSpec = {
  stream: string;
  durable: string;
  filterSubject: string;
  ackWaitMs: number;
  maxDeliver: number;
  /** What all pullers together may hold unacknowledged, in messages. */
  maxAckPending: number;
  memory: boolean;
};

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

export const workStream = (trafficClass: TrafficClass): string => `SPILLWAY_WORK_${trafficClass.toUpperCase()}`;
export const JOBS_STREAM = 'SPILLWAY_JOBS';
export const EVENTS_STREAM = 'SPILLWAY_EVENTS';
export const RESULTS_STREAM = 'SPILLWAY_RESULTS';
export const DLQ_STREAM = 'SPILLWAY_DLQ';
/** Who changed what: keys and levers. */
export const AUDIT_STREAM = 'SPILLWAY_AUDIT';

/**
 * Frames that may wait of one class and model. One number for all models, because it belongs to the stream: a hard stop that
 * needs no fresh knowledge. What a model can serve in time is bounded far below it by admission.
 */
export const MAX_FRAMES_PER_MODEL = 1_024;

/**
 * Events that may wait of one tenant for one model. Those that a quota holds back count as delivered, so this must stay well below
 * what all together may hold: a tenant beyond its quota is refused by the stream before it holds up others.
 */
export const MAX_EVENTS_PER_MODEL = 65_536;

/**
 * Every stream of the mesh. `discard: new` everywhere: a full stream refuses, it never forgets what it accepted.
 * Work streams are memory: a synchronous request is worth nothing after its deadline, so nothing of it is worth a disk.
 */
export const STREAMS: readonly StreamSpec[] = [
  ...CLASSES.map(
    (trafficClass): StreamSpec => ({
      name: workStream(trafficClass),
      subjects: [`spillway.v1.work.${trafficClass}.*`],
      storage: 'memory',
      retention: 'workqueue',
      maxBytes: 64 * MIB,
      maxMessagesPerSubject: MAX_FRAMES_PER_MODEL,
      maxAgeMs: 60_000, // hygiene only: the gateway's timer answers long before
      duplicateWindowMs: 1_000,
    }),
  ),
  {
    name: JOBS_STREAM,
    subjects: ['spillway.v1.jobs.>'],
    storage: 'file',
    retention: 'workqueue',
    maxBytes: 512 * MIB,
    maxAgeMs: 7 * DAY_MS,
    duplicateWindowMs: 120_000,
  },
  {
    name: EVENTS_STREAM,
    subjects: ['spillway.v1.events.>'],
    storage: 'file',
    retention: 'workqueue',
    maxBytes: 512 * MIB,
    maxMessagesPerSubject: MAX_EVENTS_PER_MODEL,
    maxAgeMs: 7 * DAY_MS,
    duplicateWindowMs: 120_000,
  },
  {
    name: RESULTS_STREAM,
    subjects: ['spillway.v1.results.>'],
    storage: 'file',
    retention: 'limits',
    maxBytes: 512 * MIB,
    maxAgeMs: DAY_MS,
    maxMessagesPerSubject: 1, // with discard-new the server itself lets the first writer win
    duplicateWindowMs: 120_000,
  },
  {
    name: DLQ_STREAM,
    subjects: ['spillway.v1.dlq.>'],
    storage: 'file',
    retention: 'limits',
    maxBytes: 256 * MIB,
    maxAgeMs: 14 * DAY_MS,
    duplicateWindowMs: 120_000,
  },
  {
    name: AUDIT_STREAM,
    subjects: ['spillway.v1.audit.>'],
    storage: 'file',
    retention: 'limits',
    maxBytes: 64 * MIB,
    maxAgeMs: 90 * DAY_MS,
    duplicateWindowMs: 120_000,
  },
];

/** The one consumer that all batchers share for a class and model. */
export const workConsumer = (trafficClass: TrafficClass, model: string, ackWaitMs: number): ConsumerSpec => ({
  stream: workStream(trafficClass),
  durable: `batcher_${trafficClass}_${model}`,
  filterSubject: workSubject(trafficClass, model),
  ackWaitMs: Math.max(250, Math.ceil(ackWaitMs)),
  maxDeliver: 3,
  maxAckPending: 4_096,
  memory: true,
});

export const jobsConsumer = (trafficClass: TrafficClass, model: string, ackWaitMs: number): ConsumerSpec => ({
  stream: JOBS_STREAM,
  durable: `batcher_${trafficClass}_${model}`,
  filterSubject: jobsSubject(trafficClass, model),
  ackWaitMs: Math.max(1_000, Math.ceil(ackWaitMs)),
  maxDeliver: 5,
  maxAckPending: 1_024,
  memory: false,
});

/** The server says here that it delivers a message of the stream no more: its deliveries were lost, or ended without a word. */
const stuckIn = (stream: string): string => `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${stream}.*`;

export const stuckWork = (trafficClass: TrafficClass): string => stuckIn(workStream(trafficClass));

export const STUCK_JOBS = stuckIn(JOBS_STREAM);

/** After so many deliveries an event that failed for good reason is dead; the gateway ends it, not the server. */
export const EVENT_DELIVERIES = 5;

/** The one consumer that all gateways share for events. */
export const EVENTS_CONSUMER: ConsumerSpec = {
  stream: EVENTS_STREAM,
  durable: 'gateway_events',
  filterSubject: 'spillway.v1.events.>',
  ackWaitMs: 10_000,
  maxDeliver: -1, // the server counts every delay as a delivery: a bound would strand an event that waited for capacity
  maxAckPending: 4 * MAX_EVENTS_PER_MODEL,
  memory: false,
};
