import type { ModelRecord } from '@spillway/contracts/buckets';
import { ACCEPTED_BY_DEFAULT } from '../../src/core/accept.ts';
import type { InferRequest, TensorValue } from '../../src/core/request.ts';

export const mlp: ModelRecord = {
  model: 'mlp',
  versions: ['1', '2'],
  platform: 'onnxruntime_onnx',
  backend: 'onnxruntime',
  maxBatchSize: 4,
  inputs: [{ name: 'x', datatype: 'FP32', dims: [2] }],
  outputs: [{ name: 'y', datatype: 'FP32', dims: [1] }],
  defaultDeadlineMs: 5_000,
  maxDeadlineMs: 60_000,
  runLimitMs: 2_000,
  costRule: 'rows',
  provider: 'cpu',
};

export const fp32 = (name: string, shape: number[], values: number[]): TensorValue => ({
  name,
  datatype: 'FP32',
  shape,
  data: new Uint8Array(Float32Array.from(values).buffer),
});

export const request = (over: Partial<InferRequest> = {}): InferRequest => ({
  id: 'r-1',
  tenant: 'anonymous',
  keyId: '',
  accept: ACCEPTED_BY_DEFAULT,
  trafficClass: 'standard',
  model: 'mlp',
  version: '',
  inputs: [fp32('x', [1, 2], [1, 2])],
  receivedAtMs: 1_000,
  budgetMs: undefined,
  noCache: false,
  noStore: false,
  tracestate: '',
  traceparent: '',
  ...over,
});
