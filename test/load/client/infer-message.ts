import { COLUMNS, type Inputs } from './inputs.ts';

/** The few fields of the Open Inference Protocol's ModelInferRequest and ModelInferResponse that a load client needs. */
const varint = (value: number): number[] => (value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(value >>> 7)]);
const bytes = (field: number, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(value.length)]), value]);
const text = (field: number, value: string): Buffer => bytes(field, Buffer.from(value));

export const INFER_PATH = '/inference.GRPCInferenceService/ModelInfer';
export const STREAM_PATH = '/inference.GRPCInferenceService/ModelStreamInfer';

/** `id` of a request, to append to its encoding: protobuf takes fields in any order. */
export const idField = (id: string): Buffer => text(3, id);

/** `mlp` with one row, its tensor raw. */
export function encodeRequest(inputs: Inputs, index: number): Buffer {
  const row = inputs.rows.slice(index * COLUMNS, (index + 1) * COLUMNS);
  const shape = bytes(3, Buffer.from([1, COLUMNS]));
  const tensor = Buffer.concat([text(1, 'x'), text(2, 'FP32'), shape]);
  return Buffer.concat([text(1, 'mlp'), bytes(5, tensor), bytes(7, new Uint8Array(row.buffer))]);
}

/** The response with one FP32 output. */
export function encodeResponse(data: Uint8Array): Buffer {
  const tensor = Buffer.concat([text(1, 'y'), text(2, 'FP32'), bytes(3, Buffer.from([1, 1]))]);
  return Buffer.concat([text(1, 'mlp'), text(2, '1'), bytes(5, tensor), bytes(6, data)]);
}

/** The first bytes field with this number at the top of a message; empty if there is none. */
function bytesField(message: Buffer, field: number): Buffer {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.length) {
    const tag = number();
    if (tag % 8 !== 2) break; // every field of these messages is a string, a message or bytes
    const size = number();
    if (tag === field * 8 + 2) return message.subarray(at, at + size);
    at += size;
  }
  return Buffer.alloc(0);
}

/** `raw_input_contents[0]` of a request. */
export const rawInput = (request: Buffer): Buffer => bytesField(request, 7);

/** First FP32 of a response's `raw_output_contents[0]`; NaN if there is none. */
export function firstOutput(response: Buffer): number {
  const raw = bytesField(response, 6);
  return raw.length >= 4 ? raw.readFloatLE(0) : Number.NaN;
}

/** Id and first FP32 of a ModelStreamInferResponse; `y` is NaN if it failed. */
export function readStreamResponse(message: Buffer): { id: string; y: number } {
  const response = bytesField(message, 2);
  return { id: bytesField(response, 3).toString('latin1'), y: firstOutput(response) };
}
