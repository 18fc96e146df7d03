import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { replyFrameCodec, type WorkItem, workFrameCodec } from '@spillway/contracts/messages';
import { connect, nuid } from 'nats';
import { MODEL, SUBJECT } from './wire.ts';

/**
 * The bare path's door: JSON in, one frame per event-loop turn onto JetStream, reply frames to JSON. No validation, no
 * keys, no deadlines, no acknowledgement of a publish: the yardstick for what these cost.
 */
const MAX_ITEMS = 200; // × 270 B: below 64 KiB

const nc = await connect({ servers: process.env['NATS_URL'] ?? '' });
const inbox = `_INBOX_bare.${nuid.next()}`;
const waiting = new Map<number, ServerResponse>();
let nextSeq = 0;
let turn: WorkItem[] = [];

function flush(): void {
  const items = turn;
  turn = [];
  for (let from = 0; from < items.length; from += MAX_ITEMS) {
    const frame = {
      gateway: 'bare',
      replyTo: inbox,
      sentMs: 0,
      model: MODEL,
      trafficClass: 'standard',
      routes: [],
      items: items.length <= MAX_ITEMS ? items : items.slice(from, from + MAX_ITEMS),
    };
    nc.publish(SUBJECT, workFrameCodec.encode(frame));
  }
}

function accept(body: Buffer, response: ServerResponse): void {
  const request = JSON.parse(body.toString()) as { inputs: [{ data: number[] }] };
  const data = Float32Array.from(request.inputs[0].data);
  nextSeq = (nextSeq + 1) >>> 0;
  waiting.set(nextSeq, response);
  if (turn.length === 0) setImmediate(flush);
  turn.push({ seq: nextSeq, rows: 1, tensors: new Uint8Array(data.buffer) } as WorkItem);
}

nc.subscribe(inbox, {
  callback: (_error, message) => {
    const frame = replyFrameCodec.decode(message.data);
    const batchSize = String(frame.batchRows);
    for (const item of frame.items) {
      const response = waiting.get(item.seq);
      if (response === undefined) continue;
      waiting.delete(item.seq);
      const y = new DataView(item.tensors.buffer, item.tensors.byteOffset, 4).getFloat32(0, true);
      const text = `{"model_name":"mlp","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"data":[${y}]}]}`;
      response.writeHead(200, [
        'content-type',
        'application/json',
        'content-length',
        String(text.length),
        'spillway-batch-size',
        batchSize,
      ]);
      response.end(text, 'latin1');
    }
  },
});

const server = createServer(
  { requireHostHeader: false, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
  (request: IncomingMessage, response: ServerResponse) => {
    response.sendDate = false;
    let body: Buffer | undefined;
    request.on('data', (chunk: Buffer) => {
      body = body === undefined ? chunk : Buffer.concat([body, chunk]);
    });
    request.on('end', () => accept(body ?? Buffer.alloc(0), response));
  },
);
server.listen(Number(process.env['HTTP_PORT']), '127.0.0.1', 4_096, () => console.log('ready'));
