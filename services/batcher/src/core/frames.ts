import type { Clock } from '@spillway/lifecycle/clock';

/** A message of a work queue, as JetStream lent it to this batcher. */
export type FrameMessage = {
  /** 1 at the first delivery. */
  readonly deliveries: number;
  readonly payload: Uint8Array;
  /** Whoever publishes there acknowledges; for a job that is the worker. */
  readonly ackSubject: string;
  ack(): void;
  nak(delayMs?: number): void;
  working(): void;
  term(): void;
};

/** Who sent a frame, and what is lent with it. */
export type HeldFrame = {
  readonly message: FrameMessage;
  readonly gateway: string;
  readonly replyTo: string;
  /** The last delivery that JetStream grants: handing it back would lose it. */
  readonly lastDelivery: boolean;
  /** A job: acknowledged by the worker, after its result is stored. */
  readonly durable: boolean;
  readonly ackWaitMs: number;
  readonly requests: number;
  /** Requests that neither were dispatched nor ended. */
  waiting: number;
  /** Until then JetStream does not deliver it again. */
  extendedAtMs: number;
  held: boolean;
  /** JetStream delivers all of it again, to whoever asks. */
  handedBack: boolean;
  /** Index in the list of held frames. */
  place: number;
};

export type NewFrame = Pick<HeldFrame, 'message' | 'gateway' | 'replyTo' | 'durable' | 'ackWaitMs' | 'requests'> & {
  maxDeliver: number;
};

/**
 * The frames this batcher holds. Each is given up exactly once: acknowledged when its last request was dispatched or ended,
 * handed back, or (a job) left to the worker. Until then `ack_wait` is extended in time.
 */
export class HeldFrames {
  readonly #clock: Clock;
  /** A list in which each frame knows its place, not a Set: see `InFlightBatches`. */
  readonly #held: HeldFrame[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#held.length;
  }

  hold({ maxDeliver, ...frame }: NewFrame): HeldFrame {
    const held: HeldFrame = {
      ...frame,
      lastDelivery: frame.message.deliveries >= maxDeliver,
      waiting: frame.requests,
      extendedAtMs: this.#clock.now(),
      held: true,
      handedBack: false,
      place: this.#held.length,
    };
    this.#held.push(held);
    return held;
  }

  /** One of its requests was dispatched, expired or was cancelled: it is not waited for any more. */
  settled(frame: HeldFrame): void {
    frame.waiting -= 1;
    if (frame.waiting < 0) throw new Error('bug: more requests of a frame ended than it had');
    if (frame.waiting > 0 || frame.durable || !this.#release(frame)) return;
    frame.message.ack();
  }

  /** Nothing more is done about it here: the worker acknowledges (a job), or JetStream delivers it again. */
  leave(frame: HeldFrame): void {
    this.#release(frame);
  }

  /** For another delivery, here or at another batcher. */
  handBack(frame: HeldFrame, delayMs?: number): void {
    if (!this.#release(frame)) return;
    frame.handedBack = true;
    frame.message.nak(delayMs);
  }

  /** To be called several times in an `ack_wait`: a third of it, since another batcher may have set it to half of ours. */
  extend(): void {
    const nowMs = this.#clock.now();
    for (const frame of this.#held) {
      if (nowMs - frame.extendedAtMs < frame.ackWaitMs / 3) continue;
      frame.extendedAtMs = nowMs;
      frame.message.working();
    }
  }

  /** A snapshot, so that frames may be given up while it is walked. */
  all(): HeldFrame[] {
    return [...this.#held];
  }

  #release(frame: HeldFrame): boolean {
    if (!frame.held) return false;
    frame.held = false;
    const last = this.#held.pop() as HeldFrame;
    if (last !== frame) {
      this.#held[frame.place] = last;
      last.place = frame.place;
    }
    return true;
  }
}
