import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { type LeaseWatch, watchLeases } from '@spillway/bus/leases';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import type { TrafficClass } from '@spillway/contracts/classes';
import {
  type Batch,
  type BatchDone,
  type BatcherMessage,
  cancelCodec,
  DISPATCH_METHOD,
  heartbeatCodec,
  type ReplyItem,
  replyFrameCodec,
  type ServedModel,
  type WorkerMessage,
  type WorkItem,
  workFrameCodec,
} from '@spillway/contracts/messages';
import { cancelSubject, healthSubject, jobsSubject, workSubject } from '@spillway/contracts/subjects';
import { type Clock, monotonicClock } from '@spillway/lifecycle/clock';
import { type DialledDuplex, dialDuplex } from '@spillway/rpc/duplex';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { batcherConfig } from '../../src/config.ts';
import { type Batcher, startBatcher } from '../../src/service.ts';

/** Of a request that names no deadline of its own: no test takes so long, however crowded its machine is. */
export const BUDGET_MS = 60_000;

export const item = (seq: number, fields: Partial<WorkItem> = {}): WorkItem => ({
  seq,
  requestId: `r${seq}`,
  budgetMs: BUDGET_MS,
  rows: 1,
  cost: 1,
  route: 0,
  traceparent: '',
  tensors: Buffer.from(`tensors of ${seq}`),
  tenant: 't',
  ...fields,
});

/** Plays a worker: writes down what it gets, and says only what the test tells it to. */
export class TestWorker {
  readonly instance: string;
  readonly batches: Batch[] = [];
  drained = false;
  /** Ends each batch at once and asks for the next. */
  auto = false;
  readonly #model: ServedModel;
  readonly #link: DialledDuplex<WorkerMessage>;
  readonly #initialCredits: number;

  constructor(
    address: string,
    options: { instance?: string; credits?: number; auto?: boolean } & Partial<ServedModel> = {},
  ) {
    const { instance = 'w', credits = 0, auto = false, ...fields } = options;
    this.instance = instance;
    this.#initialCredits = credits;
    this.auto = auto;
    // Slow enough that a test may look around before it ends a batch: its worker is not taken for silent for 48 s. What is not
    // handed back would come again after 64 s (`ack_wait`): later than any `until` waits.
    const run = { runLimitMs: 60_000, runMsOne: 12_000, runMsFull: 12_000 };
    const defaults = { versions: ['1'], maxBatchSize: 8, slots: 1, ...run };
    this.#model = { model: 'm', ...defaults, ...fields };
    this.#link = dialDuplex<BatcherMessage, WorkerMessage>({
      address,
      method: DISPATCH_METHOD,
      onUp: () => {
        this.#link.send({ hello: { instance, models: [this.#model] } });
        if (this.#initialCredits > 0) this.credits(this.#initialCredits);
      },
      onMessage: (message) => this.#receive(message),
    });
  }

  get up(): boolean {
    return this.#link.up;
  }

  credits(batches: number): void {
    this.#link.send({ credits: { model: 'm', batches } });
  }

  done(batch: Batch, fields: Partial<BatchDone> = {}): void {
    const { batchId, model, rows } = batch;
    this.#link.send({ done: { batchId, model, rows, runMs: 1, errorCode: '', notStarted: false, ...fields } });
  }

  /** Sequence numbers of all batches, in order. */
  seqs(): number[] {
    return this.batches.flatMap((batch) => batch.items.map(({ seq }) => seq));
  }

  async batch(index: number): Promise<Batch> {
    await until(`batch ${index} of ${this.instance}`, () => this.batches.length > index);
    return this.batches[index] as Batch;
  }

  /** It asks for nothing more. */
  goodbye(): void {
    this.#link.send({ goodbye: {} });
  }

  /** Its stream ends, as if it were killed. */
  close(): Promise<void> {
    return this.#link.close();
  }

  #receive(message: BatcherMessage): void {
    if (message.drain) this.drained = true;
    if (!message.batch) return;
    this.batches.push(message.batch);
    if (!this.auto) return;
    this.done(message.batch);
    this.credits(1);
  }
}

/** Plays a gateway. */
export class TestGateway {
  readonly bus: Bus;
  readonly inbox: string;
  readonly replies: ReplyItem[] = [];

  constructor(bus: Bus) {
    this.bus = bus;
    this.inbox = bus.inbox();
    bus.subscribe(this.inbox, ({ payload }) => this.replies.push(...replyFrameCodec.decode(payload).items));
  }

  /** A heartbeat, as of a gateway whose clock is ahead of this process's by `aheadMs`. */
  beat(aheadMs = 0): void {
    const sentMs = performance.now() + aheadMs;
    const heartbeat = heartbeatCodec.encode({
      service: 'gateway',
      instance: this.bus.instance,
      sentMs,
      state: 'ready',
    });
    this.bus.publish(healthSubject(this.bus.instance), heartbeat);
  }

  cancel(seqs: number[]): void {
    const gateway = this.bus.instance;
    this.bus.publish(cancelSubject(gateway), cancelCodec.encode({ gateway, seqs }));
  }

  async publish(
    trafficClass: TrafficClass,
    items: WorkItem[],
    fields: { sentMs?: number; shapes?: string } = {},
  ): Promise<void> {
    const { sentMs = performance.now(), shapes = 'x' } = fields;
    const frame = workFrameCodec.encode({
      gateway: this.bus.instance,
      replyTo: this.inbox,
      sentMs,
      model: 'm',
      trafficClass,
      routes: [{ version: '1', variant: '', shapes }],
      items,
    });
    await this.bus.publishToStream(workSubject(trafficClass, 'm'), frame);
  }

  async publishJob(seq: number, trafficClass: TrafficClass = 'standard'): Promise<void> {
    const job = { tenant: 't', job: `j${seq}`, ackSubject: '', originSubject: 'o', traceparent: '' };
    const frame = workFrameCodec.encode({
      gateway: '',
      replyTo: '',
      sentMs: 0,
      model: 'm',
      trafficClass,
      routes: [{ version: '1', variant: '', shapes: 'x' }],
      items: [item(seq, { job, budgetMs: 0 })],
    });
    await this.bus.publishToStream(jobsSubject(trafficClass, 'm'), frame, { msgId: `t.j${seq}` });
  }

  /** Messages that a stream holds. */
  async streamSize(stream: string): Promise<number> {
    const reply = this.bus.inbox();
    const { promise, resolve } = Promise.withResolvers<number>();
    const sub = this.bus.subscribe(reply, ({ payload }) =>
      resolve(JSON.parse(Buffer.from(payload).toString()).state.messages),
    );
    this.bus.publish(`$JS.API.STREAM.INFO.${stream}`, new Uint8Array(0), { reply });
    const size = await promise;
    sub.stop();
    return size;
  }
}

export const RECORD: ModelRecord = {
  model: 'm',
  versions: ['1'],
  platform: 'test',
  backend: 'test',
  maxBatchSize: 8,
  inputs: [],
  outputs: [],
  defaultDeadlineMs: BUDGET_MS,
  maxDeadlineMs: BUDGET_MS,
  runLimitMs: 60_000,
  costRule: 'rows',
  provider: 'cpu',
};

/** A NATS server, a gateway and batchers; the test brings the workers. Everything ends with it. */
export class MeshBench implements AsyncDisposable {
  readonly nats: TestServer;
  readonly gateway: TestGateway;
  readonly #stack: AsyncDisposableStack;
  readonly #batchers: LeaseWatch;

  private constructor(nats: TestServer, gateway: TestGateway, stack: AsyncDisposableStack) {
    this.nats = nats;
    this.gateway = gateway;
    this.#stack = stack;
    this.#batchers = watchLeases(gateway.bus, 'batcher', monotonicClock);
    stack.defer(() => this.#batchers.stop());
  }

  static async start(record: Partial<ModelRecord> = {}): Promise<MeshBench> {
    await using opening = new AsyncDisposableStack();
    const nats = opening.use(await startNatsServer());
    const bus = opening.use(await connectBus({ url: nats.url, service: 'gateway', instance: 'gateway-1' }));
    await openBucket<ModelRecord>(bus, MODELS).put('m', { ...RECORD, ...record });
    return new MeshBench(nats, new TestGateway(bus), opening.move());
  }

  /** @param clock Of the batcher; absent: the real one. */
  async batcher(clock?: Clock): Promise<Batcher & { address: string }> {
    const config = batcherConfig.load({
      NATS_URL: this.nats.url,
      BATCHER_GRPC_PORT: '0',
      BATCHER_HEALTH_PORT: '0',
      LOG_LEVEL: 'silent',
    });
    const batcher = this.#stack.use(await startBatcher(config, clock));
    const address = `127.0.0.1:${batcher.ports.grpc}`;
    // What it subscribed to before it wrote its lease, the server knows by then.
    await until('its lease', () => this.#batchers.list().some((lease) => lease.address === address));
    return Object.assign(batcher, { address });
  }

  /** One line of a batcher's metrics; 0 if it is not there. */
  async metric(batcher: Batcher, name: string, labels: Record<string, string> = {}): Promise<number> {
    const page = await (await fetch(`http://127.0.0.1:${batcher.ports.health}/metrics`)).text();
    const has = (line: string) =>
      Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`));
    const line = page.split('\n').find((candidate) => candidate.startsWith(`${name}{`) && has(candidate));
    return Number(line?.slice(line.lastIndexOf(' ')) ?? 0);
  }

  /** Waits until the batcher holds so many rows of a class. */
  async holds(batcher: Batcher, trafficClass: string, rows: number): Promise<void> {
    const held = () => this.metric(batcher, 'spillway_queue_rows', { class: trafficClass });
    await until(`${rows} rows of ${trafficClass} are held`, async () => (await held()) === rows);
  }

  worker(batcher: { address: string }, options: ConstructorParameters<typeof TestWorker>[1] = {}): TestWorker {
    const worker = new TestWorker(batcher.address, options);
    this.#stack.defer(() => worker.close());
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
