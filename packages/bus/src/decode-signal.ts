import type { Codec } from '@spillway/contracts/codec';

/** A signal on core NATS; undefined: not such a message. Nobody waits for an answer, and a listener that throws ends the process. */
export function decodeSignal<T>(codec: Codec<T>, payload: Uint8Array): T | undefined {
  try {
    return codec.decode(payload);
  } catch {
    return undefined;
  }
}
