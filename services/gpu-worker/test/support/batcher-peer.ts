import { connectBus } from '@spillway/bus/connect';
import { keepLease } from '@spillway/bus/leases';
import type { Codec } from '@spillway/contracts/codec';
import {
  type Batch,
  type BatchDone,
  type BatcherMessage,
  batcherMessageCodec,
  DISPATCH_METHOD,
  type Hello,
  type WorkerMessage,
} from '@spillway/contracts/messages';
import { type ServedDuplex, serveDuplex } from '@spillway/rpc/duplex';
import { startGrpcServer } from '@spillway/rpc/server';
import { until } from '@spillway/testing/until';

/** A message may bring its bytes along: a benchmark encodes once and sends often. */
export type PeerMessage = BatcherMessage & { encoded?: Uint8Array };

const response: Codec<PeerMessage> = {
  encode: (message) => message.encoded ?? batcherMessageCodec.encode(message),
  decode: (bytes) => batcherMessageCodec.decode(bytes),
};
const METHOD = { ...DISPATCH_METHOD, response };

/** One worker's stream as a batcher sees it. */
export type WorkerStream = {
  stream: ServedDuplex<WorkerMessage, PeerMessage>;
  hello: Hello | undefined;
  credits: Map<string, number>;
  done: BatchDone[];
  goodbye: boolean;
  closed: boolean;
};

export type BatcherPeer = Awaited<ReturnType<typeof startBatcherPeer>>;

/** The batcher's end of the dispatch stream, played by the test over a real gRPC server, with a lease of its own. */
export async function startBatcherPeer(natsUrl: string, instance: string) {
  const streams: WorkerStream[] = [];
  const service = serveDuplex<WorkerMessage, PeerMessage>(METHOD, (stream) => {
    const worker: WorkerStream = {
      stream,
      hello: undefined,
      credits: new Map(),
      done: [],
      goodbye: false,
      closed: false,
    };
    streams.push(worker);
    stream.onMessage(({ hello, credits, done, goodbye }) => {
      if (hello) worker.hello = hello;
      else if (credits) worker.credits.set(credits.model, (worker.credits.get(credits.model) ?? 0) + credits.batches);
      else if (done) worker.done.push(done);
      else if (goodbye) worker.goodbye = true;
    });
    stream.onClose(() => {
      worker.closed = true;
    });
  });
  const grpc = await startGrpcServer({ host: '127.0.0.1', port: 0, services: [service], maxReceiveBytes: 1 << 20 });
  const bus = await connectBus({ url: natsUrl, service: 'batcher', instance });
  let state: 'ready' | 'draining' = 'ready';
  const lease = keepLease(bus, () => ({ service: 'batcher', instance, address: `127.0.0.1:${grpc.port}`, state }));
  let over = false;
  const peer = {
    instance,
    bus,
    streams,
    /** Streams that are open and have said Hello. */
    open: () => streams.filter((worker) => !worker.closed && worker.hello !== undefined && !worker.goodbye),
    credits: (model: string) => peer.open().reduce((sum, worker) => sum + (worker.credits.get(model) ?? 0), 0),
    /** The first open stream once it has said Hello and granted credits for the model. */
    worker: async (model: string): Promise<WorkerStream> => {
      await until(`a worker with credits for ${model} at ${instance}`, () => peer.credits(model) > 0);
      return peer.open().find((worker) => (worker.credits.get(model) ?? 0) > 0) as WorkerStream;
    },
    /** Sends a batch on a credit. */
    send: (worker: WorkerStream, batch: Batch): void => {
      worker.credits.set(batch.model, (worker.credits.get(batch.model) ?? 0) - 1);
      worker.stream.send({ batch });
    },
    drain: (): void => {
      state = 'draining';
      lease.refresh();
      for (const worker of peer.open()) worker.stream.send({ drain: {} });
    },
    /** Ends without a word, as a killed process does: connections break, the lease stays until it expires. */
    vanish: async (): Promise<void> => {
      if (over) return;
      over = true;
      await grpc[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await lease.release();
      await peer.vanish();
      await bus[Symbol.asyncDispose]();
    },
  };
  return peer;
}
