import * as grpc from '@grpc/grpc-js';
import { Histogram } from '@spillway/load/histogram';
import { encodeRequest, firstOutput, INFER_PATH, idField, readStreamResponse, STREAM_PATH } from './infer-message.ts';
import { COLUMNS, type Inputs } from './inputs.ts';
import { type LoadResult, Tally } from './tally.ts';

export type GrpcLoad = {
  address: string;
  /** Calls in flight, spread over `channels` connections. */
  connections: number;
  channels: number;
  seconds: number;
  warmUpSeconds: number;
  metadata: Record<string, string>;
  /** `echo`: unary calls to the bare server, which answers the first number of the input. */
  mode: 'unary' | 'echo' | 'stream';
};

const identity = (bytes: Buffer): Buffer => bytes;

/** Index of the next input, round and round. */
type NextInput = () => number;

/**
 * Closed loop over grpc-js, requests encoded beforehand, every answer compared: unary ModelInfer calls, or requests on one
 * ModelStreamInfer a channel.
 */
export async function runGrpcLoad(load: GrpcLoad, inputs: Inputs): Promise<LoadResult> {
  const requests = Array.from({ length: inputs.count }, (_, index) => encodeRequest(inputs, index));
  const clients = Array.from(
    { length: load.channels },
    () =>
      new grpc.Client(load.address, grpc.credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1, // a connection for each
        'grpc.enable_channelz': 0,
      }),
  );
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(load.metadata)) metadata.set(name, value);
  const startMs = performance.now() + load.warmUpSeconds * 1_000;
  const endMs = startMs + load.seconds * 1_000;
  const expected = load.mode === 'echo' ? inputs.rows.filter((_, at) => at % COLUMNS === 0) : inputs.expected;
  const tally = new Tally(expected, startMs, endMs, new Histogram());
  let next = -1;
  const nextInput = (): number => {
    next = (next + 1) % inputs.count;
    return next;
  };
  const shared = { requests, metadata, endMs, tally, nextInput };

  const cpu = process.cpuUsage();
  if (load.mode === 'stream') {
    const each = Math.ceil(load.connections / load.channels);
    await Promise.all(clients.map((client) => runStream(client, each, shared)));
  } else {
    const callers = Array.from({ length: load.connections }, (_, n) => clients[n % load.channels] as grpc.Client);
    await Promise.all(callers.map((client) => runCaller(client, shared)));
  }
  const used = process.cpuUsage(cpu);
  for (const client of clients) client.close();
  return tally.result((used.user + used.system) / 1e6);
}

type Shared = { requests: Buffer[]; metadata: grpc.Metadata; endMs: number; tally: Tally; nextInput: NextInput };

/** One call after the other. */
function runCaller(client: grpc.Client, { requests, metadata, endMs, tally, nextInput }: Shared): Promise<void> {
  return new Promise((resolve) => {
    const call = (): void => {
      const sentMs = performance.now();
      if (sentMs >= endMs) {
        resolve();
        return;
      }
      const index = nextInput();
      const request = requests[index] as Buffer;
      client.makeUnaryRequest(INFER_PATH, identity, identity, request, metadata, {}, (error, answer) => {
        if (error !== null) tally.failed(`grpc ${error.code}`);
        else tally.value(index, sentMs, firstOutput(answer as Buffer), 0);
        call();
      });
    };
    call();
  });
}

/** `inFlight` requests on one stream; the id of a request is the number of its place. */
function runStream(client: grpc.Client, inFlight: number, shared: Shared): Promise<void> {
  const { requests, metadata, endMs, tally, nextInput } = shared;
  const stream = client.makeBidiStreamRequest(STREAM_PATH, identity, identity, metadata);
  const places = Array.from({ length: inFlight }, (_, n) => ({ index: 0, sentMs: 0, id: idField(String(n)) }));
  let open = 0;
  const send = (place: (typeof places)[number]): void => {
    place.sentMs = performance.now();
    if (place.sentMs >= endMs) {
      if (open === 0) stream.end();
      return;
    }
    place.index = nextInput();
    open += 1;
    stream.write(Buffer.concat([requests[place.index] as Buffer, place.id]));
  };
  return new Promise((resolve) => {
    stream.on('data', (message: Buffer) => {
      const { id, y } = readStreamResponse(message);
      const place = places[Number(id)];
      open -= 1;
      if (place === undefined || id === '' || Number.isNaN(y)) tally.failed('stream error');
      else tally.value(place.index, place.sentMs, y, 0);
      if (place !== undefined) send(place);
    });
    stream.on('error', (error: grpc.ServiceError) => tally.failed(`grpc ${error.code}`));
    stream.on('status', () => resolve());
    for (const place of places) send(place);
  });
}
