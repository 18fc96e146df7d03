import type { IncomingMessage } from 'node:http';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { HEADERS } from '@spillway/contracts/headers';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { type OipReply, toOip } from '@spillway/errors/to-oip';
import { toPlain } from '@spillway/errors/to-plain';
import { checkSelection } from '../core/asked-outputs.ts';
import { type GenerateCall, readGenerateCall, writeGenerateAnswer } from '../core/generate.ts';
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
  /** Of answers without binary tensors. */
  contentType: string;
  /** @throws SpillwayError for a body that breaks a rule; of a model that does not exist nothing need be said. */
  read(body: Buffer, req: IncomingMessage, model: () => ModelRecord | undefined): C;
  /** @param receipt What goes into the body; undefined: nothing. @throws SpillwayError for what the body cannot say. */
  write(answer: Answer, call: C, receipt: Record<string, string> | undefined): InferBody;
  refuse(error: SpillwayError): { status: number; body: object; headers: OipReply['headers'] };
};

const JSON_TYPE = 'application/json';

/** The Open Inference Protocol v2. */
export const OIP: HttpDialect<InferCall> = {
  contentType: JSON_TYPE,
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
  contentType: JSON_TYPE,
  read: (body, _req, model) => readPlainBody(body, model()),
  write: (answer, call, receipt) => ({ body: writePlainAnswer(answer, call, receipt), headerLength: undefined }),
  refuse: toPlain,
};

/** Triton's generate extension. */
export const GENERATE: HttpDialect<GenerateCall> = {
  contentType: JSON_TYPE,
  read: (body, _req, model) => readGenerateCall(body, model()),
  write: (answer, call, receipt) => ({ body: writeGenerateAnswer(answer, call, receipt), headerLength: undefined }),
  refuse: toOip,
};

/** The same as server-sent events: one, for every model here answers once. What fails has no event, but its status. */
export const GENERATE_STREAM: HttpDialect<GenerateCall> = {
  ...GENERATE,
  contentType: 'text/event-stream; charset=utf-8',
  write: (answer, call, receipt) => ({
    body: `data: ${writeGenerateAnswer(answer, call, receipt)}\n\n`,
    headerLength: undefined,
  }),
};
