import type { IncomingMessage } from 'node:http';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { HEADERS } from '@spillway/contracts/headers';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { type OipReply, toOip } from '@spillway/errors/to-oip';
import { toPlain } from '@spillway/errors/to-plain';
import { checkSelection } from '../core/asked-outputs.ts';
import { type InferBody, type InferCall, readInferCall, writeInferAnswer } from '../core/oip-infer.ts';
import { readRawCall } from '../core/oip-raw.ts';
import { writePlainAnswer } from '../core/plain-answer.ts';
import { type PlainCall, readPlainBody } from '../core/plain-infer.ts';
import type { Answer, TensorValue } from '../core/request.ts';
import { readHeaderLength } from '../core/request-metadata.ts';

/** What the pipeline needs of a call, whatever its dialect. */
export type Call = Partial<Pick<InferCall, 'timeoutUs' | 'priority' | 'accept' | 'receipt' | 'asked'>> & {
  inputs: TensorValue[];
};

/** How one kind of HTTP body says what every door says: a request, its answer, a failure. */
export type HttpDialect<C extends Call> = {
  /** @throws SpillwayError for a body that breaks a rule; of a model that does not exist nothing need be said. */
  read(body: Buffer, req: IncomingMessage, model: () => ModelRecord | undefined): C;
  /** @param receipt What goes into the body; undefined: nothing. @throws SpillwayError for what the body cannot say. */
  write(answer: Answer, call: C, receipt: Record<string, string> | undefined): InferBody;
  refuse(error: SpillwayError): { status: number; body: object; headers: OipReply['headers'] };
};

/** The Open Inference Protocol v2. */
export const OIP: HttpDialect<InferCall> = {
  read: (body, req, model) => {
    const header = req.headers[HEADERS.inferenceHeaderLength] as string | undefined;
    if (header === '0') return readRawCall(body, model());
    const call = readInferCall(body, readHeaderLength(header));
    if (call.asked.names.length > 0) checkSelection(call.asked, model());
    return call;
  },
  write: (answer, { clientId, asked }, receipt) => writeInferAnswer(answer, clientId, asked, receipt),
  refuse: toOip,
};

/** Plain JSON; what else a caller has to say of a request, its headers say. */
export const PLAIN: HttpDialect<PlainCall> = {
  read: (body, _req, model) => readPlainBody(body, model()),
  write: (answer, call, receipt) => ({ body: writePlainAnswer(answer, call, receipt), headerLength: undefined }),
  refuse: toPlain,
};
