import { deflateSync, gzipSync } from 'node:zlib';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { loadServices } from '@spillway/rpc/load';
import { casesOf, oipRequest } from '../../support/cases.ts';
import { encodeRequest, grpcRequest } from '../../support/oip-grpc.ts';
import { oddJson, oddText } from './json.ts';
import type { Choices } from './random.ts';

/** A request with something wrong in it, and a name of what. */
export type HttpCase = {
  door: 'http';
  what: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer | string;
};
export type GrpcCase = { door: 'grpc'; what: string; path: string; metadata: Record<string, string>; message: Buffer };
export type Case = HttpCase | GrpcCase;

type Good = { path: string; body: object; binary?: { head: object; tail: Buffer } };

const oip = (model: string) => oipRequest(casesOf(model)[0]!);
const mlpRow = Array.from({ length: 64 }, (_, n) => n / 64);
const floats = Buffer.from(Float32Array.from(mlpRow).buffer);
const mlpBinary = {
  head: { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 64], parameters: { binary_data_size: 256 } }] },
  tail: floats,
};
const GOOD: Good[] = [
  { path: '/v2/models/mlp/infer', body: oip('mlp'), binary: mlpBinary },
  { path: '/v2/models/simple/infer', body: { ...oip('simple'), outputs: [{ name: 'OUTPUT0', parameters: {} }] } },
  { path: '/v2/models/identity/versions/1/infer', body: { ...oip('identity'), id: 'a', parameters: { priority: 2 } } },
  { path: '/v1/models/mlp:predict', body: { inputs: mlpRow } },
  { path: '/v1/models/simple:predict', body: { inputs: { INPUT0: Array(16).fill(1), INPUT1: Array(16).fill(2) } } },
  {
    path: '/v2/models/simple/versions/stable/generate',
    body: { INPUT0: Array(16).fill(1), INPUT1: Array(16).fill(2) },
  },
  {
    path: '/v2/models/identity/generate_stream',
    body: { id: 'a', input_fp32: [1, 2], text_input: 'a', parameters: {} },
  },
  { path: '/v1/models/identity:predict', body: { inputs: [{ input_fp32: [1, 2], input_bytes: 'a' }] } },
];
const INFER = '/inference.GRPCInferenceService/ModelInfer';
const PREDICT = '/spillway.v1.Inference/Predict';
const predictMethod = loadServices(['spillway/v1/inference.proto'], [PROTO_DIR])['spillway.v1.Inference']?.['Predict'];
const encodePredict = predictMethod?.requestSerialize as (request: object) => Buffer;
const values = mlpRow.map((numberValue) => ({ numberValue }));
const MESSAGES = [
  ...(['mlp', 'simple'] as const).map((model) => ({
    path: INFER,
    message: encodeRequest(grpcRequest(model, casesOf(model)[0]!)),
  })),
  { path: PREDICT, message: encodePredict({ model: 'mlp', id: 'a', inputs: { listValue: { values } } }) },
  { path: PREDICT, message: encodePredict({ model: 'intent', version: '1', text: { stringValue: 'a card' } }) },
];

const HEADERS = [
  'inference-header-content-length',
  'content-encoding',
  'accept-encoding',
  'content-type',
  'spillway-class',
  'spillway-timeout-ms',
  'spillway-accept',
  'spillway-receipt',
  'x-request-id',
  'traceparent',
  'tracestate',
  'cache-control',
  'authorization',
  'triton_grpc_error',
];
const VALUES = [
  '',
  '0',
  '-1',
  '1',
  '10',
  '1e3',
  '99999999999',
  '18446744073709551616',
  'gzip',
  'deflate',
  'br',
  'none',
];
const MORE_VALUES = [
  'body',
  'vip',
  'bulk',
  'Bearer x',
  'Bearer sk_a_b',
  'application/json; charset=latin1',
  'x'.repeat(500),
];
const PARTS = [
  '',
  '.',
  '..',
  '%2e%2e',
  '%',
  '%zz',
  '%00',
  'mlp%20',
  'nobody',
  'a'.repeat(65),
  '%F0%9F',
  '*',
  'constructor',
];
const ENDS = [
  'infer',
  'generate',
  'generate_stream',
  'ready',
  'config',
  'stats',
  'trace/setting',
  'infer/',
  'INFER',
  '',
];

const odd = (choices: Choices): string => {
  const values = [...VALUES, ...MORE_VALUES];
  return choices.once(4) ? choices.bytes(12).toString('base64') : choices.of(values);
};

function http(choices: Choices): HttpCase {
  const { path, body, binary } = choices.of(GOOD);
  const text = JSON.stringify(body);
  const base: HttpCase = { door: 'http', what: '', method: 'POST', path, headers: {}, body: text };
  switch (choices.below(9)) {
    case 0:
    case 1:
    case 2:
      return { ...base, what: 'JSON', body: oddJson(body, choices) };
    case 3:
      return { ...base, what: 'text', body: oddText(text, choices) };
    case 4: {
      const names = Array.from({ length: 1 + choices.below(3) }, () => choices.of(HEADERS));
      return { ...base, what: 'headers', headers: Object.fromEntries(names.map((name) => [name, odd(choices)])) };
    }
    case 5:
      return {
        ...base,
        what: 'path',
        path: oddPath(choices),
        method: choices.of(['POST', 'POST', 'GET', 'PUT', 'DELETE']),
      };
    case 6: {
      const pack = choices.of([gzipSync, deflateSync]);
      const grown = choices.once(8) ? Buffer.alloc(5 * 1024 * 1024, 0x20) : Buffer.from(text);
      const packed = choices.once(3) ? pack(grown) : choices.damaged(pack(grown));
      const encoding = choices.of(['gzip', 'deflate', 'x-gzip', 'GZIP', 'identity', 'br']);
      return { ...base, what: 'compression', headers: { 'content-encoding': encoding }, body: packed };
    }
    case 7:
      return { ...base, what: 'raw', ...rawOf(choices) };
    default:
      return { ...base, what: 'binary', ...binaryOf(binary ?? mlpBinary, choices) };
  }
}

function oddPath(choices: Choices): string {
  const part = () => (choices.once(2) ? choices.of(PARTS) : choices.of(['mlp', '1', '99']));
  const start = choices.of(['/v1/models/', '/v2/models/', '/v2/', '/v3/models/', '//', '/v2/repository/']);
  const version = choices.once(3) ? `/versions/${part()}` : '';
  return `${start}${part()}${version}${choices.of([':predict', `/${choices.of(ENDS)}`])}${choices.once(5) ? '?a=%' : ''}`;
}

function rawOf(choices: Choices): Partial<HttpCase> {
  const model = choices.of(['mlp', 'simple', 'identity', 'intent', 'nobody']);
  const body = choices.once(3) ? floats : choices.bytes(choices.below(300));
  return { path: `/v2/models/${model}/infer`, headers: { 'inference-header-content-length': '0' }, body };
}

function binaryOf({ head, tail }: NonNullable<Good['binary']>, choices: Choices): Partial<HttpCase> {
  const json = choices.once(2) ? JSON.stringify(head) : oddJson(head, choices);
  const bytes = choices.once(2) ? tail : choices.damaged(tail);
  const length = Buffer.byteLength(json) + (choices.once(3) ? choices.below(9) - 4 : 0);
  return {
    path: '/v2/models/mlp/infer',
    headers: { 'inference-header-content-length': String(length) },
    body: Buffer.concat([Buffer.from(json), bytes]),
  };
}

function grpc(choices: Choices): GrpcCase {
  const { path, message } = choices.of(MESSAGES);
  if (choices.once(4)) {
    const names = HEADERS.filter((name) => !name.startsWith('content-') && !name.startsWith('accept-'));
    return { door: 'grpc', what: 'metadata', path, metadata: { [choices.of(names)]: odd(choices) }, message };
  }
  const broken = choices.once(6) ? choices.bytes(choices.below(200)) : choices.damaged(message);
  return { door: 'grpc', what: 'message', path, metadata: {}, message: broken };
}

/** The case of a number is the same whenever it is made. */
export const caseOf = (choices: Choices): Case => (choices.once(4) ? grpc(choices) : http(choices));
