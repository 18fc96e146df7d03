import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { type Batch, batcherMessageCodec, type ReplyItem, replyFrameCodec } from '@spillway/contracts/messages';
import { connect } from 'nats';
import { COLUMNS, newBlock, onBlocks } from './wire.ts';

/** The bare path's worker: a batch from the batcher's stream, one run in the executor child, one reply frame. */
const DONE = Buffer.from([1]);
const ROW_BYTES = COLUMNS * 4;

const nc = await connect({ servers: process.env['NATS_URL'] ?? '' });
const executor = spawn(process.execPath, [fileURLToPath(new URL('./executor.ts', import.meta.url))], {
  stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  env: process.env,
});
executor.once('exit', () => process.exit(1));
process.once('SIGTERM', () => {
  executor.kill();
  process.exit(0);
});
const pipe = executor.stdio[3] as Socket;

const running = new Map<number, Batch>();
let nextId = 0;

const client = new grpc.Client(process.env['BATCHER'] ?? '', grpc.credentials.createInsecure(), {
  'grpc.enable_channelz': 0,
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
});
const identity = (bytes: Buffer): Buffer => bytes;

onBlocks(pipe, ({ id, rows, data }) => {
  if (rows === 0) {
    dial(); // the executor's first word: it is warm
    return;
  }
  const batch = running.get(id);
  if (batch === undefined) return;
  running.delete(id);
  const items = batch.items.map((item, row) => ({ seq: item.seq, tensors: data.subarray(row * 4, row * 4 + 4) }));
  const reply = {
    worker: '',
    batchId: batch.batchId,
    model: batch.model,
    version: '',
    variant: '',
    batchRows: rows,
    runMs: 0,
    closedBy: '',
    items: items as unknown as ReplyItem[],
  };
  stream?.write(DONE);
  nc.publish(batch.replyTo[0] ?? '', replyFrameCodec.encode(reply));
});

let stream: grpc.ClientDuplexStream<Buffer, Buffer> | undefined;
function dial(): void {
  stream = client.makeBidiStreamRequest('/bare.Dispatch/Work', identity, identity);
  stream.on('data', (bytes: Buffer) => {
    const { batch } = batcherMessageCodec.decode(bytes);
    if (!batch) return;
    nextId = (nextId + 1) >>> 0;
    running.set(nextId, batch);
    const rows = batch.items.length;
    const block = newBlock(nextId, rows, rows * ROW_BYTES);
    for (let row = 0; row < rows; row += 1) block.data.set(batch.items[row]!.tensors, row * ROW_BYTES);
    pipe.write(block.bytes);
  });
  stream.on('error', () => process.exit(0));
  console.log('ready');
}
