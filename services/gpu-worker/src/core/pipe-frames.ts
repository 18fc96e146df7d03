/**
 * Frames on the pipe between the worker's process and an executor: a header of 16 bytes (little-endian: payload bytes u32,
 * kind u32, stamp f64), then the payload, a protobuf message of executor.proto. `stamp` is a time of the host's monotonic
 * clock, which all processes of one host share, or 0.
 */
export const FRAME = { load: 1, loaded: 2, run: 3, done: 4, release: 5 } as const;
export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

export const HEADER_BYTES = 16;
/** Longer frames mean that the two ends lost step: nothing of the mesh is near it. */
const MAX_PAYLOAD_BYTES = 1 << 30;

/** The header for a payload that is written right after it: no copy of the payload is made. */
export function frameHeader(kind: FrameKind, payloadBytes: number, stampMs = 0): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(payloadBytes, 0);
  header.writeUInt32LE(kind, 4);
  header.writeDoubleLE(stampMs, 8);
  return header;
}

export type OnFrame = (kind: number, payload: Uint8Array, stampMs: number) => void;

/** Cuts a byte stream into frames. A payload is a view of the chunk it came in; one that came in several is copied once. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #pending: Buffer[] = []; // less than one frame
  #pendingBytes = 0;
  #neededBytes = HEADER_BYTES;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** @throws Error when the stream is none of frames: a bug. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#pendingBytes > 0) {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.length;
      if (this.#pendingBytes < this.#neededBytes) return;
      bytes = Buffer.concat(this.#pending, this.#pendingBytes);
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    let at = 0;
    this.#neededBytes = HEADER_BYTES;
    while (bytes.length - at >= HEADER_BYTES) {
      const payloadBytes = bytes.readUInt32LE(at);
      if (payloadBytes > MAX_PAYLOAD_BYTES)
        throw new Error(`bug: a frame of ${payloadBytes} bytes on an executor's pipe`);
      const end = at + HEADER_BYTES + payloadBytes;
      if (end > bytes.length) {
        this.#neededBytes = end - at;
        break;
      }
      this.#onFrame(bytes.readUInt32LE(at + 4), bytes.subarray(at + HEADER_BYTES, end), bytes.readDoubleLE(at + 8));
      at = end;
    }
    if (at === bytes.length) return;
    this.#pending.push(at === 0 ? bytes : bytes.subarray(at));
    this.#pendingBytes = bytes.length - at;
  }
}
