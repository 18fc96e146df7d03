import { type Tensors, tensorsCodec } from '@spillway/contracts/messages';
import { DATA_TYPES, dataTypeName } from '@spillway/contracts/tensor';
import type { TensorValue } from './request.ts';

/** Tensors as they cross the mesh: opaque bytes to everything between gateway and executor. */
export function encodeTensors(inputs: readonly TensorValue[]): Uint8Array {
  const tensors = inputs.map(({ name, datatype, shape, data }) => ({
    name,
    datatype: DATA_TYPES[datatype].id,
    shape,
    data,
  }));
  return tensorsCodec.encode({ tensors });
}

export function decodeTensors(bytes: Uint8Array): TensorValue[] {
  const { tensors }: Tensors = tensorsCodec.decode(bytes);
  return tensors.map(({ name, datatype, shape, data }) => ({ name, datatype: dataTypeName(datatype), shape, data }));
}
