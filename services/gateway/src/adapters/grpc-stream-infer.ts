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

/** `ModelStreamInfer` and its like: many requests in flight on one call, answered in their order. */
export function serveStreamInfer<C extends GrpcCall>(
  context: DoorContext,
  path: string,
  dialect: GrpcDialect<C>,
): StreamInfer {
  const streams = new Set<StreamCall<C>>();
  let draining = false;
  const service = serveDuplex({ path, request: BYTES, response: BYTES }, (stream: Stream) => {
    const caller = callerOf(context, stream.facts);
    const opened = new StreamCall(context, dialect, stream, caller);
    streams.add(opened);
    stream.onClose(() => streams.delete(opened));
    if (draining) opened.drain();
  });
  const drain = () => {
    draining = true;
    for (const stream of streams) stream.drain();
  };
  return { service, drain };
}
