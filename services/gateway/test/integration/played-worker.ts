import type { Bus } from '@spillway/bus/bus';
import { keepLease } from '@spillway/bus/leases';
import { type PulledMessage, PullSource } from '@spillway/bus/pull';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { CLASSES, type TrafficClass } from '@spillway/contracts/classes';
import {
  type ReplyItem,
  replyFrameCodec,
  type Tensor,
  tensorsCodec,
  type WorkFrame,
  type WorkItem,
  workFrameCodec,
} from '@spillway/contracts/messages';
import { workConsumer } from '@spillway/contracts/streams';
import { until } from '@spillway/testing/until';

/** A request as it arrived through the work stream. */
export type Arrived = { item: WorkItem; frame: WorkFrame; trafficClass: TrafficClass; inputs: Tensor[] };
/** Outputs, or what the caller is told. */
export type Played = Tensor[] | { errorCode: string; errorMessage: string; errorReason?: string };
/** Undefined: not now; the test calls `reply` later, or never. */
export type Play = (arrived: Arrived) => Played | undefined;

/** Plays batcher and worker at once: pulls the frames of a model from the real work streams and answers them by hand. */
export class PlayedWorker implements AsyncDisposable {
  readonly arrived: Arrived[] = [];
  readonly #bus: Bus;
  readonly #model: ModelRecord;
  readonly #play: Play;
  readonly #sources: PullSource[];
  readonly #lease: { release(): Promise<void> };

  constructor(bus: Bus, model: ModelRecord, play: Play) {
    this.#bus = bus;
    this.#model = model;
    this.#play = play;
    this.#sources = CLASSES.map((trafficClass) => this.#pull(trafficClass));
    const models = [{ model: model.model, versions: model.versions }];
    this.#lease = keepLease(bus, () => ({
      service: 'gpu-worker',
      instance: bus.instance,
      address: '',
      state: 'ready',
      models,
    }));
  }

  /** Waits for the request with this number in the order of arrival, from 0. */
  async request(index: number): Promise<Arrived> {
    await until(`request ${index} has arrived`, () => this.arrived.length > index);
    return this.arrived[index] as Arrived;
  }

  reply({ item, frame }: Arrived, played: Played): void {
    this.#publish(frame, [replyTo(item, played)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#sources.map((source) => source.stop()), this.#lease.release()]);
  }

  #pull(trafficClass: TrafficClass): PullSource {
    const spec = workConsumer(trafficClass, this.#model.model, 10_000);
    const source: PullSource = new PullSource(
      this.#bus,
      spec,
      (message) => {
        this.#take(message, trafficClass);
        source.request(1);
      },
      () => source.request(16 - source.outstanding),
    );
    source.start();
    return source;
  }

  #take(message: PulledMessage, trafficClass: TrafficClass): void {
    message.ack();
    const frame = workFrameCodec.decode(message.payload);
    const replies: ReplyItem[] = [];
    for (const item of frame.items) {
      const arrived = { item, frame, trafficClass, inputs: tensorsCodec.decode(item.tensors).tensors };
      this.arrived.push(arrived);
      const played = this.#play(arrived);
      if (played !== undefined) replies.push(replyTo(item, played));
    }
    if (replies.length > 0) this.#publish(frame, replies);
  }

  #publish(frame: WorkFrame, items: ReplyItem[]): void {
    const reply = replyFrameCodec.encode({
      worker: 'gpu-worker-played',
      batchId: 'b-1',
      model: frame.model,
      version: frame.routes[0]?.version ?? '',
      variant: '',
      batchRows: items.length,
      runMs: 1.5,
      closedBy: 'idle',
      items,
    });
    this.#bus.publish(frame.replyTo, reply);
  }
}

const replyTo = ({ seq }: WorkItem, played: Played): ReplyItem => {
  const base = { seq, errorCode: '', errorMessage: '', errorReason: '', tensors: new Uint8Array(), queueMs: 0.25 };
  return Array.isArray(played)
    ? { ...base, tensors: tensorsCodec.encode({ tensors: played }) }
    : { ...base, ...played };
};
