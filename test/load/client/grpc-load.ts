import * as grpc from '@grpc/grpc-js';
import { Histogram } from './histogram.ts';
import { encodeRequest, firstOutput, INFER_PATH } from './infer-message.ts';
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
  /** The server is the bare echo: it answers the first number of the input. */
  echo: boolean;
};

const identity = (bytes: Buffer): Buffer => bytes;

/** Closed loop of unary ModelInfer calls over grpc-js, requests encoded beforehand, every answer compared. */
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
  const expected = load.echo ? inputs.rows.filter((_, at) => at % COLUMNS === 0) : inputs.expected;
  const tally = new Tally(expected, startMs, endMs, new Histogram());
  let next = 0;

  const runCaller = (client: grpc.Client): Promise<void> =>
    new Promise((resolve) => {
      const call = (): void => {
        const sentMs = performance.now();
        if (sentMs >= endMs) {
          resolve();
          return;
        }
        const index = next;
        next = next + 1 === inputs.count ? 0 : next + 1;
        client.makeUnaryRequest(
          INFER_PATH,
          identity,
          identity,
          requests[index] as Buffer,
          metadata,
          {},
          (error, answer) => {
            if (error !== null) tally.failed(`grpc ${error.code}`);
            else tally.value(index, sentMs, firstOutput(answer as Buffer), 0);
            call();
          },
        );
      };
      call();
    });

  const cpu = process.cpuUsage();
  const callers = Array.from({ length: load.connections }, (_, n) =>
    runCaller(clients[n % load.channels] as grpc.Client),
  );
  await Promise.all(callers);
  const used = process.cpuUsage(cpu);
  for (const client of clients) client.close();
  return tally.result((used.user + used.system) / 1e6);
}
