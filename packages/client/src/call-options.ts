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
  /** The same key with the same inputs is the same answer or job, with others a `CONFLICT`. Over NATS it is the job's name. */
  idempotencyKey?: string | undefined;
};

/** Of a job. `timeoutMs` is for handing it over. */
export type SubmitOptions = Omit<InferOptions, 'accept' | 'cache' | 'receipt'> & {
  /** A job that has not run by then will not. Default: it has as long as it takes. */
  expiresAfterMs?: number | undefined;
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

/**
 * Headers of one try: what is left of the deadline differs each time.
 * @param leftMs Undefined: the model's own deadline counts.
 */
export function headersOf(
  options: InferOptions,
  accept: readonly Rung[] | undefined,
  leftMs: number | undefined,
  trace: Readonly<Record<string, string>>,
): Record<string, string> {
  const headers: Record<string, string> = { ...trace };
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined) headers[name] = value;
  };
  set('spillway-class', options.class);
  set('spillway-timeout-ms', leftMs?.toFixed(3)); // more digits the mesh does not read
  set('spillway-accept', accept === undefined ? undefined : accept.join(', ') || 'none');
  set('spillway-receipt', options.receipt);
  set('cache-control', options.cache);
  set('x-request-id', options.requestId);
  set('idempotency-key', options.idempotencyKey);
  return headers;
}
