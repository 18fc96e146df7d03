import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { keepLease } from '@spillway/bus/leases';
import {
  FEATURES_METHOD,
  type FeatureFetch,
  type FetchRequest,
  type FetchResponse,
  type ViewRows,
} from '@spillway/contracts/messages';
import { type ServedDuplex, serveDuplex } from '@spillway/rpc/duplex';
import { startGrpcServer } from '@spillway/rpc/server';

type Arrival = { fetch: FeatureFetch; stream: ServedDuplex<FetchRequest, FetchResponse> };

/** The far end of the features stream, found through its lease like a real one, whose answers are the test's to give. */
export type FeaturePeer = AsyncDisposable & {
  /** The next fetch that arrives, or has arrived and was not taken. */
  next(): Promise<{ fetch: FeatureFetch; answer(views: ViewRows[]): void }>;
  /** Answers every fetch from now on; never resolves. */
  answerAll(views: ViewRows[]): Promise<never>;
};

export async function startFeaturePeer(natsUrl: string): Promise<FeaturePeer> {
  await using opening = new AsyncDisposableStack();
  const bus: Bus = opening.use(await connectBus({ url: natsUrl, service: 'feature-service', instance: 'features-1' }));
  const arrived: Arrival[] = [];
  const waiting: ((one: Arrival) => void)[] = [];
  const service = serveDuplex<FetchRequest, FetchResponse>(FEATURES_METHOD, (stream) => {
    stream.onMessage(({ fetches }) => {
      for (const fetch of fetches) {
        const taker = waiting.shift();
        if (taker) taker({ fetch, stream });
        else arrived.push({ fetch, stream });
      }
    });
  });
  const server = opening.use(
    await startGrpcServer({ host: '127.0.0.1', port: 0, services: [service], maxReceiveBytes: 1_048_576 }),
  );
  opening.defer(() => {
    for (const stream of service.streams) stream.close();
  });
  const lease = keepLease(bus, () => ({
    service: 'feature-service',
    instance: 'features-1',
    address: `127.0.0.1:${server.port}`,
    state: 'ready',
  }));
  opening.defer(() => lease.release());
  const open = opening.move();
  const peer: FeaturePeer = {
    next: async () => {
      const { fetch, stream } = arrived.shift() ?? (await new Promise<Arrival>((resolve) => waiting.push(resolve)));
      const { id } = fetch;
      const answer = (views: ViewRows[]) =>
        void stream.send({ results: [{ id, views, errorCode: '', errorMessage: '' }] });
      return { fetch, answer };
    },
    answerAll: async (views) => {
      for (;;) (await peer.next()).answer(views);
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
  return peer;
}
