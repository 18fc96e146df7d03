import type { FrameMessage } from '@spillway/batcher/core/frames';
import type { TrafficClass } from '@spillway/contracts/classes';
import type { WorkFrame } from '@spillway/contracts/messages';
import { jobsConsumer, workConsumer } from '@spillway/contracts/streams';
import type { World } from './spec.ts';

/** A frame in a stream, until it is acknowledged. */
export type Stored = { frame: WorkFrame; deliveries: number; settled: boolean; dueAtMs: number };

/** A pulled message: `pending` are the frames that wait behind it, as its delivery metadata says. */
export type Pulled = { stream: WorkStream; message: FrameMessage; frame: WorkFrame; pending: number };

export type Puller = { readonly name: string; deliver(pulled: Pulled): void };

const NO_BYTES = new Uint8Array(0);
const SWEEP_MS = 25;

/** One class of one model: bounded, first in first out, each message lent until it is acknowledged. */
export class WorkStream {
  readonly model: string;
  readonly trafficClass: TrafficClass;
  readonly durable: boolean;
  readonly maxDeliver: number;
  readonly #world: World;
  readonly #maxFrames: number;
  #ackWaitMs = 250;
  #waiting: Stored[] = [];
  #head = 0;
  #lent = new Set<Stored>();
  #pulls: { puller: Puller; messages: number }[] = [];

  /** @param durable Jobs: acknowledged by the worker. */
  constructor(world: World, model: string, trafficClass: TrafficClass, maxFrames: number, durable = false) {
    this.#world = world;
    this.model = model;
    this.trafficClass = trafficClass;
    this.#maxFrames = maxFrames;
    this.durable = durable;
    this.maxDeliver = (durable ? jobsConsumer : workConsumer)(trafficClass, model, this.#ackWaitMs).maxDeliver;
    world.sim.every(SWEEP_MS, SWEEP_MS, () => this.#redeliver());
  }

  get pending(): number {
    return this.#waiting.length - this.#head;
  }

  get ackWaitMs(): number {
    return this.#ackWaitMs;
  }

  setAckWait(ms: number): void {
    this.#ackWaitMs = ms;
  }

  /** False: full. What is lent counts, as in the server. */
  publish(frame: WorkFrame): boolean {
    if (this.pending + this.#lent.size >= this.#maxFrames) return false;
    this.#waiting.push({ frame, deliveries: 0, settled: false, dueAtMs: 0 });
    this.#serve();
    return true;
  }

  pull(puller: Puller, messages: number): void {
    this.#pulls.push({ puller, messages });
    this.#serve();
  }

  /** The server sees that a puller's connection is gone. What it has been lent comes back by `ack_wait`. */
  forget(puller: Puller): void {
    this.#pulls = this.#pulls.filter((pull) => pull.puller !== puller);
  }

  #serve(): void {
    while (this.pending > 0) {
      const pull = this.#pulls[0];
      if (pull === undefined) return;
      pull.messages -= 1;
      if (pull.messages === 0) this.#pulls.shift();
      this.#lend(pull.puller, this.#take());
    }
  }

  #take(): Stored {
    const stored = this.#waiting[this.#head] as Stored;
    this.#head += 1;
    if (this.#head > 256 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return stored;
  }

  #lend(puller: Puller, stored: Stored): void {
    const { sim, spec } = this.#world;
    stored.deliveries += 1;
    stored.dueAtMs = sim.now() + this.#ackWaitMs;
    this.#lent.add(stored);
    const deliveries = stored.deliveries;
    const isOurs = (): boolean => !stored.settled && stored.deliveries === deliveries && this.#lent.has(stored);
    const message: FrameMessage = {
      deliveries,
      payload: NO_BYTES,
      ackSubject: '',
      ack: () => this.#settle(stored),
      term: () => this.#settle(stored),
      working: () => {
        if (isOurs()) stored.dueAtMs = sim.now() + this.#ackWaitMs;
      },
      nak: (delayMs = 0) => {
        if (!isOurs()) return;
        if (delayMs === 0) this.#returned(stored);
        else stored.dueAtMs = sim.now() + delayMs;
      },
    };
    const pulled: Pulled = { stream: this, message, frame: stored.frame, pending: this.pending };
    sim.after(spec.hopMs, (arrived: Pulled) => puller.deliver(arrived), pulled);
  }

  #settle(stored: Stored): void {
    stored.settled = true;
    this.#lent.delete(stored);
  }

  /** To the head: a redelivery comes before what is new. */
  #returned(stored: Stored): void {
    this.#lent.delete(stored);
    if (stored.deliveries >= this.maxDeliver) return;
    this.#waiting = [stored, ...this.#waiting.slice(this.#head)];
    this.#head = 0;
    this.#serve();
  }

  #redeliver(): undefined {
    const nowMs = this.#world.sim.now();
    for (const stored of this.#lent) if (stored.dueAtMs <= nowMs) this.#returned(stored);
    return undefined;
  }
}
