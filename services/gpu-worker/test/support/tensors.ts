import { tensorsCodec } from '@spillway/contracts/messages';
import { DATA_TYPES, type DataTypeName, packBytes } from '@spillway/contracts/tensor';

export type TestTensor = { name: string; datatype: DataTypeName; shape: number[]; data: Uint8Array };

export const fp32 = (name: string, shape: number[], values: readonly number[]): TestTensor => ({
  name,
  datatype: 'FP32',
  shape,
  data: new Uint8Array(Float32Array.from(values).buffer),
});

export const int64 = (name: string, shape: number[], values: readonly number[]): TestTensor => ({
  name,
  datatype: 'INT64',
  shape,
  data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
});

export const texts = (name: string, shape: number[], values: readonly string[]): TestTensor => ({
  name,
  datatype: 'BYTES',
  shape,
  data: packBytes(values.map((value) => Buffer.from(value))),
});

/** A serialized `Tensors`, as gateways send it. */
export const encode = (...tensors: TestTensor[]): Uint8Array =>
  tensorsCodec.encode({
    tensors: tensors.map(({ name, datatype, shape, data }) => ({
      name,
      datatype: DATA_TYPES[datatype].id,
      shape,
      data,
    })),
  });

/** The answer's tensors by name; numbers of FP32. */
export function decodeFp32(bytes: Uint8Array): Record<string, number[]> {
  const entries = tensorsCodec
    .decode(bytes)
    .tensors.map(({ name, data }) => [name, Array.from(new Float32Array(Uint8Array.from(data).buffer))] as const);
  return Object.fromEntries(entries);
}
