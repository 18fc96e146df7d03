import { HEADERS } from '@spillway/contracts/headers';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { CATALOGUE, type ErrorCode } from '@spillway/errors/catalogue';

/** What several routes of the document share: schemas, headers, failures. JSON Schema 2020-12, as OpenAPI 3.1 has it. */

export type Part = Record<string, unknown>;

export const ref = (kind: 'schemas' | 'parameters' | 'headers' | 'responses', name: string): Part => ({
  $ref: `#/components/${kind}/${name}`,
});
export const jsonOf = (schema: Part, example?: unknown): Part => ({
  'application/json': example === undefined ? { schema } : { schema, example },
});

const text = { type: 'string' };
const object = (properties: Part, required: string[] = []): Part => ({ type: 'object', properties, required });
const listOf = (items: Part): Part => ({ type: 'array', items });
const shape = {
  type: 'array',
  items: { type: 'integer', minimum: 0 },
  description: 'Row-major sizes, the batch first',
};
const parameters = {
  type: 'object',
  additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
  description: 'Flat; null is absent',
};
const datatype = { enum: Object.keys(DATA_TYPES) };
const data = { type: 'array', description: 'Flat, or nested like the shape. FP16 and BF16 have no JSON form' };

/** Of a request, at every door that has parameters. */
const REQUEST_PARAMETERS = {
  priority: { type: 'integer', minimum: 0, description: '0 none, 1 highest' },
  timeout: { type: 'integer', minimum: 0, description: 'Microseconds; 0 none' },
  spillway_accept: { ...text, description: 'Rungs that you take: wait, degraded' },
  spillway_receipt: { enum: ['none', 'headers', 'body'] },
};

export const SCHEMAS: Record<string, Part> = {
  Error: object({ error: text }, ['error']),
  PlainError: object(
    {
      error: object({ code: { enum: Object.keys(CATALOGUE) }, message: text, reason: { type: ['string', 'null'] } }, [
        'code',
        'message',
        'reason',
      ]),
    },
    ['error'],
  ),
  Server: object({ name: text, version: text, extensions: listOf(text) }),
  Live: object({ live: { type: 'boolean' } }),
  Ready: object({ live: { type: 'boolean' }, ready: { type: 'boolean' } }),
  ModelReady: object({ name: text, ready: { type: 'boolean' } }),
  TensorMetadata: object({
    name: text,
    datatype,
    shape: { type: 'array', items: { type: 'integer', minimum: -1 }, description: '-1: variable' },
  }),
  ModelMetadata: object({
    name: text,
    versions: listOf(text),
    platform: text,
    inputs: listOf(ref('schemas', 'TensorMetadata')),
    outputs: listOf(ref('schemas', 'TensorMetadata')),
  }),
  InferInput: object({ name: text, datatype, shape, parameters, data }, ['name', 'datatype', 'shape']),
  InferOutput: object({ name: text, datatype, shape, parameters, data }),
  AskedOutput: object(
    {
      name: text,
      parameters: {
        ...parameters,
        properties: {
          binary_data: { type: 'boolean', description: 'The bytes behind the JSON' },
          classification: { type: 'integer', minimum: 1, description: 'The best n classes as value:index[:label]' },
        },
      },
    },
    ['name'],
  ),
  InferRequest: object(
    {
      id: { ...text, description: 'Your own label; it comes back' },
      parameters: {
        ...parameters,
        properties: { ...REQUEST_PARAMETERS, binary_data_output: { type: 'boolean' } },
      },
      inputs: listOf(ref('schemas', 'InferInput')),
      outputs: { ...listOf(ref('schemas', 'AskedOutput')), description: 'None: all' },
    },
    ['inputs'],
  ),
  InferResponse: object({
    model_name: text,
    model_version: text,
    id: text,
    parameters,
    outputs: listOf(ref('schemas', 'InferOutput')),
  }),
  PlainRequest: {
    type: 'object',
    description:
      'One of the three. One row or an array of rows, or arrays by name; shapes and datatypes are the model’s',
    properties: {
      inputs: { description: 'A row, rows, an object of either by input, or an array of objects' },
      text: { type: ['string', 'array'], items: text, description: 'For models that take one text' },
      entities: {
        type: ['string', 'integer', 'array'],
        items: { type: ['string', 'integer'] },
        description: 'Ids, for models whose features are looked up',
      },
    },
    oneOf: ['inputs', 'text', 'entities'].map((member) => ({ required: [member] })),
  },
  PlainResponse: object(
    {
      outputs: { description: 'By name, in the form of the question' },
      spillway: {
        ...parameters,
        description: 'The receipt, where it was asked for; that an answer is degraded, always',
      },
    },
    ['outputs'],
  ),
  GenerateRequest: {
    type: 'object',
    description: 'Members are the inputs of the model by name, one row of each; the datatypes are the model’s',
    properties: {
      id: { ...text, description: 'Your own label; it comes back' },
      text_input: { ...text, description: 'Also the only BYTES input of a model that has none of this name' },
      parameters: {
        type: 'object',
        properties: REQUEST_PARAMETERS,
        description: 'Flat; a member named like an input is that input',
      },
    },
    additionalProperties: { type: ['string', 'number', 'boolean', 'array'] },
  },
  GenerateResponse: {
    type: 'object',
    required: ['model_name', 'model_version'],
    properties: {
      id: text,
      model_name: text,
      model_version: text,
      text_output: { ...text, description: 'The only BYTES output, where `text_input` was not an input’s own name' },
      parameters,
    },
    additionalProperties: {
      type: ['string', 'number', 'boolean', 'array'],
      description: 'An output by name: one element plain, several flat',
    },
  },
  Job: {
    type: 'object',
    required: ['job', 'state', 'href', 'subject'],
    properties: {
      job: { type: 'string' },
      state: { enum: ['queued', 'running', 'succeeded', 'failed', 'expired', 'cancelled'] },
      href: { type: 'string' },
      subject: { type: 'string', description: 'Of the result on NATS' },
      model: { type: 'string' },
      class: { type: 'string' },
      created_at: { type: 'string', format: 'date-time' },
      finished_at: { type: 'string', format: 'date-time' },
      result: { type: 'object', description: 'With succeeded: the answer of the Open Inference Protocol' },
      error: {
        type: 'object',
        properties: { code: { type: 'string' }, message: { type: 'string' }, reason: { type: 'string' } },
      },
    },
  },
  IndexEntry: object({ name: text, version: text, state: { enum: ['READY', 'UNAVAILABLE'] }, reason: text }),
};

const header = (name: string, description: string, schema: Part = text): Part => ({
  name,
  in: 'header',
  description,
  schema,
});

/** What a caller may say of a request beside its body. */
export const REQUEST_HEADERS: Record<string, Part> = {
  class: header(HEADERS.trafficClass, 'Lowers the class of the key', { enum: ['vip', 'standard', 'bulk'] }),
  timeout: header(HEADERS.timeoutMs, 'Milliseconds that are left for the answer', { type: 'number', minimum: 0 }),
  requestId: header(HEADERS.requestId, '1 to 64 letters, digits, "_" or "-"; else a new one is made'),
  accept: header(
    HEADERS.accept,
    'Rungs that you take between an answer at once and a refusal: wait, degraded; or none',
  ),
  receipt: header(HEADERS.receipt, 'Where the receipt goes', { enum: ['none', 'headers', 'body'] }),
  idempotency: header(
    HEADERS.idempotencyKey,
    'Of the tenant and the model: the same key with the same body is the same answer (for an hour) or job; with another body a conflict',
  ),
  cache: header('cache-control', 'no-cache: do not read the result cache; no-store: do not write it'),
  traceparent: header(HEADERS.traceparent, 'W3C Trace Context'),
  tracestate: header(HEADERS.tracestate, 'Of the same trace; a malformed one is dropped'),
  jsonLength: header(
    HEADERS.inferenceHeaderLength,
    'Bytes of the JSON before binary tensors, decoded; 0: the body is the data of the only input',
    { type: 'integer', minimum: 0 },
  ),
};

/** The receipt of an answer. */
export const RECEIPT_HEADERS: Record<string, string> = {
  [HEADERS.requestId]: 'The id in traces and logs',
  [HEADERS.rung]: 'How the request ended: run, wait, degraded, refused, failed',
  [HEADERS.trafficClass]: 'The class that was used',
  [HEADERS.modelVersion]: 'The version that ran',
  [HEADERS.variant]: 'The lighter variant that ran, if one did',
  [HEADERS.queueMs]: 'From admission to the start of the batch',
  [HEADERS.runMs]: 'The run of the batch',
  [HEADERS.batchId]: 'The run',
  [HEADERS.batchSize]: 'Its rows',
  [HEADERS.closedBy]: 'Why the batch left',
  [HEADERS.worker]: 'What ran it',
  [HEADERS.cache]: 'hit, miss, joined, stale or bypass',
  [HEADERS.degraded]: 'What kept the answer from being an idle mesh’s: variant, features, stale',
  [HEADERS.attempts]: 'Tries inside the mesh, if more than 1',
  [HEADERS.traceId]: 'The trace, if it is recorded',
};

/** The headers of every failure. */
const ERROR_HEADERS: Record<string, string> = {
  [HEADERS.error]: 'The code',
  [HEADERS.reason]: 'The knob that fired',
  'retry-after': 'Whole seconds; only where repeating helps',
  [HEADERS.retryAfterMs]: 'The hint itself',
};

const headersOf = (names: Record<string, string>): Part =>
  Object.fromEntries(Object.entries(names).map(([name, description]) => [name, { description, schema: text }]));
export const receiptHeaders = (): Part => headersOf(RECEIPT_HEADERS);

/** Codes by the status that they have over HTTP. */
export function failuresByStatus(): Map<number, ErrorCode[]> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of Object.keys(CATALOGUE) as ErrorCode[]) {
    const { http } = CATALOGUE[code];
    byStatus.set(http, [...(byStatus.get(http) ?? []), code]);
  }
  return byStatus;
}

/** @param kind Of the body; the shared response is named `<kind><status>`. */
export function failureResponses(kind: 'Error' | 'PlainError'): Record<string, Part> {
  const entries = [...failuresByStatus()].map(([status, codes]) => [
    `${kind}${status}`,
    {
      description: codes.map((code) => `${code}: ${CATALOGUE[code].meaning}`).join(' '),
      headers: headersOf(ERROR_HEADERS),
      content: jsonOf(ref('schemas', kind)),
    },
  ]);
  return Object.fromEntries(entries) as Record<string, Part>;
}
