import { HEADERS } from '@spillway/contracts/headers';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toGrpc } from '@spillway/errors/to-grpc';
import { loadServices } from '@spillway/rpc/load';
import type { GrpcService } from '@spillway/rpc/method';
import type { ReceiptOf } from '../core/oip-grpc-answer.ts';
import { type PlainCall, readPlainCall } from '../core/plain-infer.ts';
import { jsonOf, type ProtoValue, plainOutputs } from '../core/plain-value.ts';
import { receiptParameters } from '../core/receipt-fields.ts';
import type { Answer } from '../core/request.ts';
import type { DoorContext } from './door-context.ts';
import type { GrpcCall, GrpcDialect } from './grpc-dialect.ts';
import { serveInfer } from './grpc-infer.ts';
import { type StreamInfer, serveStreamInfer } from './grpc-stream-infer.ts';

const SERVICE = 'spillway.v1.Inference';

type PredictRequest = {
  model?: string;
  version?: string;
  id?: string;
  inputs?: ProtoValue;
  text?: ProtoValue;
  entities?: ProtoValue;
};
type PredictResponse = {
  id: string;
  outputs?: ProtoValue;
  receipt?: Record<string, string>;
  error?: { code: string; message: string; reason: string; retry_after_ms: number };
};

type Call = GrpcCall & { plain: PlainCall | undefined };

/** `spillway.v1.Inference`: the plain form of requests. */
export function servePlain(context: DoorContext): { unary: GrpcService; stream: StreamInfer } {
  const dialect = dialectOf();
  return {
    unary: serveInfer(context, `/${SERVICE}/Predict`, dialect),
    stream: serveStreamInfer(context, `/${SERVICE}/PredictStream`, dialect),
  };
}

function dialectOf(): GrpcDialect<Call> {
  const method = loadServices(['spillway/v1/inference.proto'], [PROTO_DIR])[SERVICE]?.['Predict'];
  if (method === undefined) throw new Error('bug: inference.proto has no method Predict');
  const decode = method.requestDeserialize as (bytes: Buffer) => PredictRequest;
  const encode = method.responseSerialize as (message: PredictResponse) => Buffer;
  const write = (answer: Answer, { clientId, plain }: Call, of: ReceiptOf | undefined): Buffer => {
    if (plain === undefined) throw new Error('bug: a request was answered that was not read');
    return encode({ id: clientId, outputs: plainOutputs(answer, plain), receipt: receiptOf(answer, of) });
  };
  return {
    empty: () => ({
      model: '',
      version: '',
      clientId: '',
      inputs: [],
      timeoutUs: undefined,
      priority: 0,
      accept: undefined,
      receipt: undefined,
      plain: undefined,
    }),
    read: (message, call, model) => {
      const { inputs, text, entities, ...said } = decoded(decode, message);
      call.model = said.model ?? '';
      call.version = said.version ?? '';
      call.clientId = said.id ?? '';
      const json = {
        inputs: jsonOf(inputs, 'inputs'),
        text: jsonOf(text, 'text'),
        entities: jsonOf(entities, 'entities'),
      };
      if (call.model === '') return; // said where every request is made
      call.plain = readPlainCall(json, model(call.model));
      call.inputs = call.plain.inputs;
    },
    answer: write,
    streamAnswer: write,
    streamFailure: (error, { clientId }, { requestId }) => {
      const { message, reason = '', retryAfterMs = 0 } = toGrpc(error);
      return encode({
        id: clientId,
        receipt: { [HEADERS.requestId.replaceAll('-', '_')]: requestId },
        error: { code: error.code, message, reason, retry_after_ms: retryAfterMs },
      });
    },
  };
}

/** That an answer is degraded it always says. */
const receiptOf = ({ receipt }: Answer, of: ReceiptOf | undefined): Record<string, string> =>
  of === undefined
    ? receipt.degraded === ''
      ? {}
      : { spillway_degraded: receipt.degraded }
    : receiptParameters(of, of.trafficClass, receipt);

function decoded(decode: (bytes: Buffer) => PredictRequest, message: Buffer): PredictRequest {
  try {
    return decode(message);
  } catch (cause) {
    throw new SpillwayError('INVALID_REQUEST', 'expected a protobuf message of its type', { cause });
  }
}
