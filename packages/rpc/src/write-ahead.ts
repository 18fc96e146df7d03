import type { ServerInterceptingCall, ServerInterceptor } from '@grpc/grpc-js';

/** What one call may have on its way to the socket; beyond it grpc-js's own pace is back, a message at a time. */
export const AHEAD_BYTES = 64 * 1024;

/**
 * Lets a stream of answers run ahead of the socket. grpc-js hands a message to HTTP/2 only when the one before it has been written,
 * which costs each message a write of its own and most of a turn of the event loop; handed over at once, those of one turn leave
 * together. What has been handed over is bounded, so that a peer that does not read is still felt.
 */
export const writeAhead: ServerInterceptor = (method, call) => {
  const unchanged = call as ServerInterceptingCall; // what grpc-js calls on it is the interface that `call` has
  if (!method.responseStream) return unchanged;
  const send = call.sendMessage.bind(call);
  let aheadBytes = 0;
  call.sendMessage = (message: unknown, done) => {
    const size = Buffer.isBuffer(message) ? message.length : AHEAD_BYTES; // of what is no bytes yet the size is not known
    if (aheadBytes + size >= AHEAD_BYTES) {
      send(message, done);
      return;
    }
    aheadBytes += size;
    send(message, () => {
      aheadBytes -= size;
    });
    done();
  };
  return unchanged;
};
