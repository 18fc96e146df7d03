import type { CallScope } from './call-scope.ts';
import { SpillwayClientError } from './errors.ts';
import type { HttpCall, HttpDoor } from './http-door.ts';
import { parseJson, readInferBody, writeInferBody } from './infer-body.ts';
import { readIndex, readMetadata, type WireIndexEntry, type WireMetadata } from './metadata.ts';
import { readReceipt } from './receipt.ts';
import type { InferRequest, Ticket, Transport } from './request.ts';

/** The body of a 202: the mesh took the request as a durable job. */
function readTicket(body: unknown): Ticket {
  const job = (body as { job?: unknown } | null)?.job;
  if (typeof job === 'string') return { job };
  throw new SpillwayClientError('INTERNAL', 'the answer cannot be read: a 202 without a job');
}

const modelPath = (model: string, version: string | undefined): string =>
  `v2/models/${encodeURIComponent(model)}${version === undefined ? '' : `/versions/${encodeURIComponent(version)}`}`;

function inferCall({ model, version, inputs, outputs, headers }: InferRequest): HttpCall {
  const { bytes, headerLength } = writeInferBody(inputs, { outputs, binaryOutput: true });
  const form: Record<string, string> =
    headerLength === undefined
      ? { 'content-type': 'application/json' }
      : { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(headerLength) };
  return { method: 'POST', path: `${modelPath(model, version)}/infer`, headers: { ...headers, ...form }, body: bytes };
}

export function httpTransport(door: HttpDoor): Transport {
  const infer = async (request: InferRequest, { signal }: CallScope) => {
    const answer = await door.send(inferCall(request), signal);
    const { status, fields } = answer;
    const body = await door.read(answer, signal);
    if (status === 202) return { ticket: readTicket(parseJson(new TextDecoder().decode(body))) };
    const headerLength = fields('inference-header-content-length');
    const read = readInferBody(body, headerLength === undefined ? undefined : Number(headerLength), request.bytes);
    return { ...read, receipt: readReceipt(fields) };
  };
  return {
    kind: 'http',
    infer,
    model: async (name, version, { signal }) => {
      const body = await door.json({ method: 'GET', path: modelPath(name, version) }, signal);
      return readMetadata(body as WireMetadata);
    },
    models: async ({ signal }) => {
      const body = await door.json({ method: 'POST', path: 'v2/repository/index' }, signal);
      return readIndex(body as WireIndexEntry[]);
    },
    ready: async ({ signal }) => {
      const { status, body } = await door.send({ method: 'GET', path: 'v2/health/ready' }, signal);
      body.resume();
      return status === 200;
    },
    close: async () => door.close(),
  };
}
