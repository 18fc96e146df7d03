import type { CallScope } from './call-scope.ts';
import type { InferAnswer } from './infer-body.ts';
import type { InputTensor } from './inputs.ts';
import type { ModelMetadata, ModelSummary } from './metadata.ts';
import type { Receipt } from './receipt.ts';
import type { BytesAs } from './tensors.ts';

/** What lies between an answer at once and a refusal: waiting, a lighter variant of the model, a durable job. */
export type Rung = 'wait' | 'degraded' | 'ticket';

/** PEM texts. `ca` instead of the system's authorities; `cert` and `key` for a mesh that asks its clients for a certificate. */
export type TlsOptions = { ca?: string | undefined; cert?: string | undefined; key?: string | undefined };

export type TrafficClass = 'vip' | 'standard' | 'bulk';

/** A request as every transport sends it. `headers` are the same over HTTP, gRPC metadata and NATS. */
export type InferRequest = {
  model: string;
  version: string | undefined;
  inputs: readonly InputTensor[];
  outputs: readonly string[] | undefined;
  bytes: BytesAs;
  headers: Readonly<Record<string, string>>;
};

/** Accepted as a durable job in place of an answer. */
export type Ticket = { job: string };

export type Answered = InferAnswer & { receipt: Receipt };

/** One way to a mesh. Every method makes one try, obeys the scope, and fails with a SpillwayClientError. */
export type Transport = {
  readonly kind: 'http' | 'grpc' | 'nats';
  infer(request: InferRequest, scope: CallScope): Promise<Answered | { ticket: Ticket }>;
  model(name: string, version: string | undefined, scope: CallScope): Promise<ModelMetadata>;
  models(scope: CallScope): Promise<ModelSummary[]>;
  ready(scope: CallScope): Promise<boolean>;
  close(): Promise<void>;
};
