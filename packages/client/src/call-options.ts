import type { CallScope } from './call-scope.ts';
import type { Receipt } from './receipt.ts';
import type { Rung, TrafficClass } from './request.ts';
import type { BytesAs, Tensor, TensorData } from './tensors.ts';

/** What a call may take. */
export type WaitOptions = {
  /** Over all tries; the mesh is told what is left. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
};

export type InferOptions<A extends Rung = Rung> = WaitOptions & {
  /** Lower than the key's: a request cannot raise it. */
  class?: TrafficClass | undefined;
  /** Default: the newest that can serve. */
  version?: string | undefined;
  /** Names of the outputs wanted. Default: all. */
  outputs?: readonly string[] | undefined;
  /** What may come instead of an answer at once or a refusal. */
  accept?: readonly A[] | undefined;
  /** `no-cache`: do not answer from the cache; `no-store`: do not keep the answer. */
  cache?: 'no-cache' | 'no-store' | undefined;
  /** How BYTES outputs come. Default: `text`. */
  bytes?: BytesAs | undefined;
  /** Where the mesh puts its receipt. Default: in the headers. */
  receipt?: 'none' | 'headers' | 'body' | undefined;
  /** 1 to 64 letters, digits, "_" or "-"; shows in traces and logs. Default: the mesh makes one. */
  requestId?: string | undefined;
  /** The same key with the same body is the same job. Over NATS it is the job's name. */
  idempotencyKey?: string | undefined;
};

export type Outputs = Record<string, TensorData>;

/** An answer. `O` says which outputs there are and of which kind: a claim of the caller, which nothing checks. */
export type InferResult<O extends Outputs = Outputs> = {
  model: string;
  /** That ran. */
  version: string;
  outputs: { [K in keyof O]: Tensor<O[K]> };
  receipt: Receipt;
};

/** Headers of one try: what is left of the deadline differs each time. */
export function headersOf(
  options: InferOptions,
  defaults: { accept: readonly Rung[] | undefined; timeoutMs: number | undefined },
  scope: CallScope,
  trace: Readonly<Record<string, string>>,
): Record<string, string> {
  const { accept = defaults.accept, timeoutMs = defaults.timeoutMs } = options;
  const headers: Record<string, string> = { ...trace };
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined) headers[name] = value;
  };
  set('spillway-class', options.class);
  // A budget of less than a microsecond has more digits than the mesh reads.
  set('spillway-timeout-ms', timeoutMs === undefined ? undefined : scope.leftMs.toFixed(3));
  set('spillway-accept', accept === undefined ? undefined : accept.join(', ') || 'none');
  set('spillway-receipt', options.receipt);
  set('cache-control', options.cache);
  set('x-request-id', options.requestId);
  set('idempotency-key', options.idempotencyKey);
  return headers;
}
