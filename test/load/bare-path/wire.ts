import type { Socket } from 'node:net';

/** What the processes of the bare path agree on. */
export const MODEL = 'mlp';
export const COLUMNS = 64; // floats of a row of `mlp`
export const MAX_BATCH_ROWS = 64;
export const OUTSTANDING_BATCHES = 2; // one running, one staged
export const STREAM = 'BARE_WORK';
export const SUBJECT = 'bare.work';
export const CONSUMER = 'bare_batcher';

const HEAD_BYTES = 12; // length of the rest, id, rows: uint32 each, little-endian

/** A block between worker and executor: `data` is rows × columns FP32, little-endian. */
export type Block = { id: number; rows: number; data: Buffer };

/** Bytes of a block whose data is filled in by the caller (from `HEAD_BYTES` on). */
export function newBlock(id: number, rows: number, dataBytes: number): { bytes: Buffer; data: Buffer } {
  const bytes = Buffer.allocUnsafeSlow(HEAD_BYTES + dataBytes);
  bytes.writeUInt32LE(dataBytes + HEAD_BYTES - 4, 0);
  bytes.writeUInt32LE(id, 4);
  bytes.writeUInt32LE(rows, 8);
  return { bytes, data: bytes.subarray(HEAD_BYTES) };
}

/** Cuts a byte stream into blocks. A block's data starts at a multiple of 4 of its memory only if it came in one piece. */
export function onBlocks(socket: Socket, onBlock: (block: Block) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 4) {
      const end = 4 + rest.readUInt32LE(0);
      if (rest.length < end) return;
      onBlock({ id: rest.readUInt32LE(4), rows: rest.readUInt32LE(8), data: rest.subarray(HEAD_BYTES, end) });
      rest = rest.subarray(end);
    }
  });
}
