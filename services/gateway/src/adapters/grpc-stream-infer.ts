import { serveDuplex } from '@spillway/rpc/duplex';
import type { GrpcService } from '@spillway/rpc/method';
import type { DoorContext } from './door-context.ts';
import { BYTES, callerOf } from './grpc-call.ts';
import type { GrpcCall, GrpcDialect } from './grpc-dialect.ts';
import { type Stream, StreamCall } from './grpc-stream-call.ts';

export type StreamInfer = {
  service: GrpcService;
  /** Reads no further request; each stream ends with UNAVAILABLE when what is in flight on it is answered. */
  drain(): void;
};

/** An idle stream whose key is revoked ends within this time; one that is sent on ends with its next request. */
const CHECK_KEYS_MS = 1_000;

/** `ModelStreamInfer` and its like: many requests in flight on one call, answered in their order. */
export function serveStreamInfer<C extends GrpcCall>(
  context: DoorContext,
  path: string,
  dialect: GrpcDialect<C>,
): StreamInfer {
  const streams = new Set<StreamCall<C>>();
  let draining = false;
  let check: NodeJS.Timeout | undefined;
  const checkKeys = () => {
    for (const stream of streams) stream.checkKey();
  };
  const closed = (stream: StreamCall<C>) => {
    streams.delete(stream);
    if (streams.size > 0) return;
    clearInterval(check);
    check = undefined;
  };
  const service = serveDuplex({ path, request: BYTES, response: BYTES }, (stream: Stream) => {
    const caller = callerOf(context, stream.facts);
    const opened = new StreamCall(context, dialect, stream, caller);
    streams.add(opened);
    check ??= setInterval(checkKeys, CHECK_KEYS_MS);
    stream.onClose(() => closed(opened));
    if (draining) opened.drain();
  });
  const drain = () => {
    draining = true;
    for (const stream of streams) stream.drain();
  };
  return { service, drain };
}
