import * as grpc from '@grpc/grpc-js';
import { type Batch, type BatchItem, batcherMessageCodec, workFrameCodec } from '@spillway/contracts/messages';
import { AckPolicy, connect, DiscardPolicy, nanos, nuid, RetentionPolicy, StorageType } from 'nats';
import { CONSUMER, MAX_BATCH_ROWS, MODEL, OUTSTANDING_BATCHES, STREAM, SUBJECT } from './wire.ts';

/** The bare path's batcher: raw pulls, batches of at most 64 rows that leave as soon as a place is free. */
const PULL = 256; // frames asked for at once; asked again when half of them came
const ACK = Buffer.from('+ACK');

type Worker = grpc.ServerDuplexStream<Buffer, Buffer>;

const nc = await connect({ servers: process.env['NATS_URL'] ?? '' });
const manager = await nc.jetstreamManager();
await manager.streams.add({
  name: STREAM,
  subjects: [SUBJECT],
  storage: StorageType.Memory,
  retention: RetentionPolicy.Workqueue,
  discard: DiscardPolicy.New,
  max_bytes: 256 * 1024 * 1024,
  duplicate_window: nanos(1_000),
});
await manager.consumers.add(STREAM, {
  durable_name: CONSUMER,
  ack_policy: AckPolicy.Explicit,
  ack_wait: nanos(30_000),
  max_ack_pending: 4_096,
  mem_storage: true,
});

const queue: BatchItem[] = [];
let worker: Worker | undefined;
let places = 0;
let nextBatch = 0;
let inbox = '';

function dispatch(): void {
  while (worker !== undefined && places > 0 && queue.length > 0) {
    const items = queue.splice(0, MAX_BATCH_ROWS);
    places -= 1;
    nextBatch += 1;
    const batch = {
      batchId: String(nextBatch),
      model: MODEL,
      version: '',
      variant: '',
      closedBy: '',
      rows: items.length,
      replyTo: [inbox],
      items,
      traceparent: '',
      trafficClass: '',
    } satisfies Batch;
    worker.write(batcherMessageCodec.encode({ batch }) as Buffer);
  }
}

let asked = 0;
const pulls = `_INBOX_bare.${nuid.next()}`;
const ask = (frames: number): void => {
  asked += frames;
  nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${STREAM}.${CONSUMER}`, `{"batch":${frames}}`, { reply: pulls });
};
nc.subscribe(pulls, {
  callback: (_error, message) => {
    if (message.reply === undefined || message.reply === '') return; // a status, not a frame
    asked -= 1;
    if (asked <= PULL / 2) ask(PULL / 2);
    const frame = workFrameCodec.decode(message.data);
    inbox = frame.replyTo; // one gateway
    for (const item of frame.items) queue.push(item as unknown as BatchItem);
    nc.publish(message.reply, ACK);
    dispatch();
  },
});

const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
const identity = (bytes: Buffer): Buffer => bytes;
server.addService(
  {
    work: {
      path: '/bare.Dispatch/Work',
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  {
    work: (stream: Worker) => {
      worker = stream;
      places = OUTSTANDING_BATCHES;
      stream.on('data', () => {
        places += 1; // each message says: one batch is done
        dispatch();
      });
      stream.on('error', () => undefined);
      dispatch();
    },
  },
);
server.bindAsync(`127.0.0.1:${process.env['GRPC_PORT']}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  ask(PULL);
  console.log('ready');
});
