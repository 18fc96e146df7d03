import { createHash } from 'node:crypto';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import type { TensorValue } from './request.ts';

/**
 * 32 bytes that name the answer to these inputs: SHA-256 over length-prefixed parts, so that no two lists of parts read
 * alike. The tenant is a part: one tenant never sees, nor can time, another's answers. Inputs count in order of their names.
 */
export function cacheKey(of: {
  tenant: string;
  model: string;
  version: string;
  /** Of the model's record; empty: it has none. */
  loadedBy: string;
  variant: string;
  inputs: readonly TensorValue[];
}): Uint8Array {
  const hash = createHash('sha256');
  const part = (bytes: Uint8Array | string) => {
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.byteLength);
    hash.update(length).update(bytes);
  };
  part('spillway-result-1');
  part(of.tenant);
  part(of.model);
  part(of.loadedBy === '' ? of.version : `${of.version}@${of.loadedBy}`);
  part(of.variant);
  for (const input of [...of.inputs].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    part(input.name);
    part(new Uint8Array([DATA_TYPES[input.datatype].id]));
    part(new Uint8Array(Uint32Array.from(input.shape).buffer));
    part(input.data);
  }
  return hash.digest();
}
