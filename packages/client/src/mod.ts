// biome-ignore-all lint/performance/noBarrelFile: the public list of the package
export type { InferOptions, InferResult, Outputs, SubmitOptions, WaitOptions } from './call-options.ts';
export { SpillwayClient, type StreamAnswer, type StreamOptions, type TicketOf } from './client.ts';
export type { ClientOptions } from './client-options.ts';
export { ERROR_CODES, type ErrorCode, SpillwayClientError } from './errors.ts';
export type { GivenTensor, Inputs, Values } from './inputs.ts';
export type { SubmitAllOptions, TakenLine } from './job-lines.ts';
export { Job, type JobList, type JobRequest, type JobState, type JobStatus, Jobs, type SubmittedJob } from './jobs.ts';
export type { ModelMetadata, ModelSummary, ModelVersion, TensorMetadata } from './metadata.ts';
export type { Receipt } from './receipt.ts';
export type { Rung, TlsOptions, TrafficClass } from './request.ts';
export type { BytesAs, Datatype, Scalar, Tensor, TensorData, TypedArray } from './tensors.ts';
