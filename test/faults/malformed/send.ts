import type { Agent } from 'node:http';
import * as grpc from '@grpc/grpc-js';
import { CATALOGUE, isErrorCode } from '@spillway/errors/catalogue';
import { call, headerOf } from '../../support/infer.ts';
import type { Case, GrpcCase, HttpCase } from './cases.ts';

/** Longer than that is a hang. */
const TIMEOUT_MS = 60_000;

/** What a caller who sends nonsense may be told. */
const MALFORMED = [
  'INVALID_REQUEST',
  'UNAUTHENTICATED',
  'MODEL_NOT_FOUND',
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED',
];
/** And who asks for an answer within no time, or without waiting. */
const HURRIED = ['DEADLINE_EXCEEDED', 'OVERLOADED'];

/** `code` of the catalogue, or OK. `fault`: what was wrong with the answer itself; undefined: nothing. */
export type Outcome = { code: string; fault: string | undefined };

const expected = (code: string, said: string): boolean =>
  MALFORMED.includes(code) || (HURRIED.includes(code) && /timeout|accept/.test(said));

export async function sendHttp(wrong: HttpCase, address: string, agent: Agent): Promise<Outcome> {
  const { method, path, body } = wrong;
  // Node's client frames no body of GET and DELETE: the door would take it for the next request.
  const headers = { ...wrong.headers, 'content-length': String(Buffer.byteLength(body)) };
  const reply = await call({ address, method, path, headers, body, agent, timeoutMs: TIMEOUT_MS });
  const type = headerOf(reply, 'content-type');
  if (reply.status === 200) {
    const data = type.includes('event-stream') ? (/^data: (.*)\n\n$/.exec(reply.text)?.[1] ?? '') : reply.text;
    const isAnswer = type.includes('octet-stream') || headerOf(reply, 'content-encoding') !== '' || isJson(data);
    return { code: 'OK', fault: isAnswer ? undefined : `200 with ${reply.text.slice(0, 200)}` };
  }
  const code = headerOf(reply, 'spillway-error');
  const fault = (what: string): Outcome => ({
    code,
    fault: `${what}: ${reply.status} ${reply.error} ${code} ${reply.text.slice(0, 300)}`,
  });
  if (!isErrorCode(code)) return fault('an answer without a code of the catalogue');
  if (CATALOGUE[code].http !== reply.status) return fault('a status that is not its code’s');
  if (method !== 'HEAD' && !isJson(reply.text)) return fault('a body that is no JSON');
  if (!expected(code, JSON.stringify(headers) + String(body)))
    return fault('a code that malformed requests do not get');
  return { code, fault: undefined };
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

const same = (bytes: Buffer): Buffer => bytes;

export function sendGrpc(wrong: GrpcCase, client: grpc.Client): Promise<Outcome> {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(wrong.metadata)) metadata.set(name, value);
  return new Promise((resolve) => {
    const deadline = Date.now() + TIMEOUT_MS;
    const done = (error: grpc.ServiceError | null): void => resolve(outcomeOf(wrong, error));
    client.makeUnaryRequest(wrong.path, same, same, wrong.message, metadata, { deadline }, done);
  });
}

function outcomeOf(wrong: GrpcCase, error: grpc.ServiceError | null): Outcome {
  if (error === null) return { code: 'OK', fault: undefined };
  const code = String(error.metadata.get('spillway-error')[0] ?? '');
  const fault = (what: string): Outcome => ({ code, fault: `${what}: ${error.code} ${code} ${error.details}` });
  if (!isErrorCode(code)) return fault('an answer without a code of the catalogue');
  if (CATALOGUE[code].grpc !== error.code) return fault('a status that is not its code’s');
  if (!expected(code, JSON.stringify(wrong.metadata))) return fault('a code that malformed requests do not get');
  return { code, fault: undefined };
}

/** For the report of a fault: what was sent, in short. */
export function describe(wrong: Case): string {
  if (wrong.door === 'grpc')
    return `grpc ${wrong.path} ${JSON.stringify(wrong.metadata)} ${wrong.message.toString('hex').slice(0, 400)}`;
  const { method, path, headers, body } = wrong;
  const text = typeof body === 'string' ? body : `hex ${body.toString('hex')}`;
  return `${method} ${path} ${JSON.stringify(headers)} ${text.slice(0, 400)}`;
}
