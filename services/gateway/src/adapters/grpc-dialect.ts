import type { ModelRecord } from '@spillway/contracts/buckets';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { checkSelection } from '../core/asked-outputs.ts';
import {
  type ReceiptOf,
  writeInferAnswer,
  writeStreamAnswer,
  writeStreamFailure,
  writeTicket,
} from '../core/oip-grpc-answer.ts';
import { emptyCall, type GrpcInferCall, readInferMessage } from '../core/oip-grpc-request.ts';
import type { Answer } from '../core/request.ts';

/** What a request's message says beside its outputs, whatever its service. */
export type GrpcCall = Omit<GrpcInferCall, 'outputs'>;

/** How the messages of one service say what every door says: a request, its answer, a failure. */
export type GrpcDialect<C extends GrpcCall> = {
  /** Of a message that says nothing. */
  empty(): C;
  /** Fills `call` as it reads, so that a failure can be answered under the client's id. @throws SpillwayError. */
  read(message: Buffer, call: C, model: (name: string) => ModelRecord | undefined): void;
  /** @param of Undefined: the receipt is not wanted in the message. @throws SpillwayError for what a message cannot say. */
  answer(answer: Answer, call: C, of: ReceiptOf | undefined): Uint8Array;
  /** What a caller gets who has a job now, and the outputs that its result shall hold (empty: all). Absent: no tickets here. */
  ticket?: { answer(answer: Answer, call: C, job: string): Uint8Array; outputs(call: C): string[] };
  streamAnswer(answer: Answer, call: C, of: ReceiptOf | undefined): Uint8Array;
  streamFailure(error: SpillwayError, call: C, of: { requestId: string }): Uint8Array;
};

/** The Open Inference Protocol v2 with Triton's additions. */
export const OIP: GrpcDialect<GrpcInferCall> = {
  empty: emptyCall,
  read: (message, call, model) => {
    readInferMessage(message, call);
    if (call.outputs.names.length > 0) checkSelection(call.outputs, model(call.model));
  },
  answer: writeInferAnswer,
  ticket: { answer: writeTicket, outputs: ({ outputs }) => outputs.names },
  streamAnswer: writeStreamAnswer,
  streamFailure: (error, { clientId }, of) => writeStreamFailure(error, clientId, of),
};
