import { createHash } from 'node:crypto';
import {
  CACHE_METHOD,
  type CacheGet,
  type CachePut,
  type CacheRequest,
  type CacheResponse,
  type CacheResult,
} from '@spillway/contracts/messages';
import { type DialledDuplex, dialDuplex } from '@spillway/rpc/duplex';

export type Put = { key: Uint8Array; value: Uint8Array; ttlMs?: number; staleMs?: number };

/** A gateway's end of the stream: one look-up at a time, or many in one message. */
export type CacheClient = AsyncDisposable & {
  stream: DialledDuplex<CacheRequest>;
  /** Ids of each message received so far. */
  messages: number[][];
  get(key: Uint8Array, traceparent?: string, allowStale?: boolean): Promise<CacheResult>;
  /** One message; an answer for each key. */
  access(keys: Uint8Array[], puts?: Put[]): Promise<CacheResult>[];
  put(...puts: Put[]): void;
  /** Resolves when the stream has gone down for the first time: what was asked and not answered will not be. */
  down: Promise<undefined>;
};

export const keyOf = (text: string): Uint8Array => createHash('sha256').update(text).digest();
export const textOf = (result: CacheResult | undefined): string => Buffer.from(result?.value ?? []).toString();

export async function dialCache(address: string): Promise<CacheClient> {
  const waiting = new Map<number, (result: CacheResult) => void>();
  const messages: number[][] = [];
  let lastId = 0;
  const up = Promise.withResolvers<void>();
  const down = Promise.withResolvers<undefined>();
  const stream = dialDuplex<CacheResponse, CacheRequest>({
    address,
    method: CACHE_METHOD,
    connectTimeoutMs: 60_000, // a pause of this process is no peer that says nothing
    onUp: () => up.resolve(),
    onDown: () => down.resolve(undefined),
    onMessage: ({ results }) => {
      messages.push(results.map(({ id }) => id));
      for (const result of results) {
        waiting.get(result.id)?.(result);
        waiting.delete(result.id);
      }
    },
  });
  await up.promise;
  const send = (gets: CacheGet[], puts: CachePut[]) => {
    if (!stream.send({ gets, puts })) throw new Error('the stream did not take the message');
  };
  const complete = (puts: Put[]): CachePut[] => puts.map((put) => ({ ttlMs: 60_000, ...put }));
  const ask = (keys: Uint8Array[], puts: Put[], traceparent: string, allowStale = false) => {
    const gets = keys.map((key): CacheGet => {
      lastId += 1;
      return { id: lastId, key, traceparent, allowStale };
    });
    const answers = gets.map(({ id }) => new Promise<CacheResult>((resolve) => waiting.set(id, resolve)));
    send(gets, complete(puts));
    return answers;
  };
  return {
    stream,
    messages,
    access: (keys, puts = []) => ask(keys, puts, ''),
    get: (key, traceparent = '', allowStale = false) => ask([key], [], traceparent, allowStale)[0]!,
    put: (...puts) => send([], complete(puts)),
    down: down.promise,
    [Symbol.asyncDispose]: () => stream.close(),
  };
}
