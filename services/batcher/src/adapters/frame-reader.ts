import type { PulledMessage } from '@spillway/bus/pull';
import type { TrafficClass } from '@spillway/contracts/classes';
import type { ClockOffsets } from '@spillway/contracts/deadline';
import { type WorkFrame, workFrameCodec } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import type { Cancelled } from '../core/cancelled.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import { unpackFrame, type Work } from '../core/work.ts';

/** The streams keep nothing longer: a frame that seems older was sent by an earlier life of its gateway, on another clock. */
const OLDEST_FRAME_MS = 65_000;

/** One pulled stream: what its messages are, whatever they say themselves. */
export type FrameSource = {
  model: string;
  trafficClass: TrafficClass;
  durable: boolean;
  ackWaitMs: number;
  maxDeliver: number;
};

/** `work` may wait; the others ended before their frame came. Undefined: not a frame, and terminated. */
export type ReadFrame = { work: Work[]; cancelled: Work[]; expired: Work[]; rows: number } | undefined;

export type FrameReaderOptions = {
  clock: Clock;
  offsets: ClockOffsets;
  cancelled: Cancelled;
  dispatcher: Dispatcher;
  /** A message that is no frame: a bug of who sent it. */
  onInvalid: (source: FrameSource, reason: string) => void;
};

/** From a message of a work queue to requests with deadlines on this process's clock. About 1 µs a request. */
export class FrameReader {
  readonly #options: FrameReaderOptions;

  constructor(options: FrameReaderOptions) {
    this.#options = options;
  }

  read(source: FrameSource, message: PulledMessage): ReadFrame {
    const { clock, dispatcher, cancelled } = this.#options;
    const frame = this.#decode(source, message);
    if (frame === undefined) return undefined;
    const nowMs = clock.now();
    const agedMs = source.durable ? 0 : this.#agedMs(frame, nowMs);
    const held = dispatcher.frames.hold({
      message,
      gateway: frame.gateway,
      replyTo: frame.replyTo,
      durable: source.durable,
      ackWaitMs: source.ackWaitMs,
      maxDeliver: source.maxDeliver,
      requests: frame.items.length,
    });
    const { model, trafficClass } = source;
    const lengthBuckets = dispatcher.queues(model)?.rules.lengthBuckets ?? [];
    const work = unpackFrame(frame, { frame: held, model, trafficClass, nowMs, agedMs, lengthBuckets });
    let rows = 0;
    let late = false;
    for (const one of work) {
      rows += one.rows;
      if (one.deadlineMs <= nowMs) late = true;
    }
    const isCancelled = source.durable ? undefined : cancelled.of(frame.gateway, nowMs - agedMs);
    if (isCancelled === undefined && !late) return { work, cancelled: [], expired: [], rows };
    const read = { work: [] as Work[], cancelled: [] as Work[], expired: [] as Work[], rows };
    for (const one of work) {
      if (isCancelled?.(one.item.seq)) read.cancelled.push(one);
      else if (one.deadlineMs <= nowMs) read.expired.push(one);
      else read.work.push(one);
    }
    dispatcher.drop(read.cancelled);
    dispatcher.drop(read.expired);
    return read;
  }

  /** A message that cannot be read will not become readable: it is terminated, its gateway answers by its own timer. */
  #decode(source: FrameSource, message: PulledMessage): WorkFrame | undefined {
    const reason = (frame: WorkFrame): string | undefined => {
      if (frame.items.length === 0) return 'empty';
      if (!source.durable) return undefined;
      return frame.items.length === 1 && frame.items[0]?.job ? undefined : 'not_one_job'; // an ack is of one message
    };
    let fault: string | undefined;
    try {
      const frame = workFrameCodec.decode(message.payload);
      fault = reason(frame);
      if (fault === undefined) return frame;
    } catch {
      fault = 'undecodable';
    }
    message.term();
    this.#options.onInvalid(source, fault);
    return undefined;
  }

  #agedMs({ gateway, sentMs }: WorkFrame, nowMs: number): number {
    const agedMs = this.#options.offsets.ageMs(gateway, sentMs, nowMs);
    return agedMs > OLDEST_FRAME_MS ? 0 : agedMs;
  }
}
