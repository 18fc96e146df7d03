import {
  failureResponses,
  failuresByStatus,
  jsonOf,
  type Part,
  REQUEST_HEADERS,
  receiptHeaders,
  ref,
  SCHEMAS,
} from './parts.ts';

/** Statuses that any route may answer with. */
const ANYWHERE = [400, 404, 405, 500];
/** And those that run a model. */
const RUNNING = [400, 401, 404, 405, 413, 429, 499, 500, 501, 502, 503, 504];

type Operation = {
  summary: string;
  tag: 'Models' | 'Inference' | 'Jobs' | 'Server';
  /** Of the answer 200. */
  answer: string | Part;
  body?: { schema: string; example: unknown; binary?: boolean };
  headers?: string[];
  failures?: number[];
  plain?: boolean;
  /** The answer comes as server-sent events, each with `answer` as its data. */
  events?: boolean;
};

const INFER_HEADERS = [
  'class',
  'timeout',
  'requestId',
  'accept',
  'receipt',
  'idempotency',
  'cache',
  'traceparent',
  'tracestate',
];
const SIMPLE = {
  inputs: ['INPUT0', 'INPUT1'].map((name) => ({ name, datatype: 'INT32', shape: [1, 16], data: Array(16).fill(1) })),
};

const infer: Operation = {
  summary: 'Run a model: Open Inference Protocol v2, in JSON, with binary tensors, or raw',
  tag: 'Inference',
  answer: 'InferResponse',
  body: { schema: 'InferRequest', example: SIMPLE, binary: true },
  headers: [...INFER_HEADERS, 'jsonLength'],
  failures: RUNNING,
};
const predict: Operation = {
  summary: 'Run a model: plain JSON in, plain JSON out',
  tag: 'Inference',
  answer: 'PlainResponse',
  body: { schema: 'PlainRequest', example: { text: 'Where is my new card?' } },
  headers: INFER_HEADERS,
  failures: RUNNING,
  plain: true,
};
const metadata: Operation = { summary: 'What a model takes and gives', tag: 'Models', answer: 'ModelMetadata' };
const ready: Operation = { summary: 'Whether a model can serve', tag: 'Models', answer: 'ModelReady', failures: [503] };
const generate: Operation = {
  summary: "Run a model for one row: Triton's generate extension, tensors by name",
  tag: 'Inference',
  answer: 'GenerateResponse',
  body: { schema: 'GenerateRequest', example: { text_input: 'Where is my new card?' } },
  headers: INFER_HEADERS,
  failures: RUNNING,
};
const generateStream: Operation = {
  ...generate,
  summary: 'The same as server-sent events: one, with the answer; what fails before it is plain JSON',
  events: true,
};
const config: Operation = {
  summary: "The model's configuration in Triton's words",
  tag: 'Models',
  answer: { type: 'object' },
  failures: [401],
};
const statistics: Operation = {
  summary: "Triton's statistics, totals over all live gateways",
  tag: 'Models',
  answer: { type: 'object' },
  failures: [401, 503],
};
const CONTROL_FAILURES = [401, 403, 404, 409, 501, 502, 503, 504];
const load: Operation = {
  summary:
    "Have every worker read the model's folder again and swap it: needs the scope admin, and workers that follow commands",
  tag: 'Models',
  answer: { description: 'Nothing' },
  failures: CONTROL_FAILURES,
};
const unload: Operation = {
  ...load,
  summary: 'Have every worker serve the model no more: needs the scope admin, and workers that follow commands',
};
const JOB_FAILURES = [401, 403, 503];
const MODEL = '/v2/models/{model}';
const VERSION = `${MODEL}/versions/{version}`;

/** Every route of the HTTP door. */
const ROUTES: Record<string, Record<string, Operation>> = {
  '/v1/models/{model}:predict': { post: predict },
  '/v1/models/{model}/versions/{version}:predict': { post: predict },
  [`${MODEL}/infer`]: { post: infer },
  [`${VERSION}/infer`]: { post: infer },
  [`${MODEL}/generate`]: { post: generate },
  [`${MODEL}/generate_stream`]: { post: generateStream },
  [`${VERSION}/generate`]: { post: generate },
  [`${VERSION}/generate_stream`]: { post: generateStream },
  [MODEL]: { get: metadata },
  [VERSION]: { get: metadata },
  [`${MODEL}/ready`]: { get: ready },
  [`${VERSION}/ready`]: { get: ready },
  [`${MODEL}/config`]: { get: config },
  [`${VERSION}/config`]: { get: config },
  [`${MODEL}/stats`]: { get: statistics },
  [`${VERSION}/stats`]: { get: statistics },
  '/v2/models/stats': { get: statistics },
  '/v2/repository/models/{model}/load': { post: load },
  '/v2/repository/models/{model}/unload': { post: unload },
  '/v1/jobs': {
    get: {
      summary: "The tenant's jobs, oldest first: limit, after, state in the query",
      tag: 'Jobs',
      answer: {
        type: 'object',
        required: ['jobs'],
        properties: { jobs: { type: 'array', items: ref('schemas', 'Job') }, next: { type: 'string' } },
      },
      failures: JOB_FAILURES,
    },
    post: {
      summary: 'One job a line (application/x-ndjson); a line of answer for each, and a sum',
      tag: 'Jobs',
      answer: { type: 'string' },
      failures: [...JOB_FAILURES, 415],
    },
  },
  '/v1/jobs/{job}': {
    get: {
      summary: 'A job and its result; with wait=N (seconds) when it has ended; as server-sent events on request',
      tag: 'Jobs',
      answer: 'Job',
      failures: JOB_FAILURES,
    },
    delete: { summary: 'Cancel a job that has not ended', tag: 'Jobs', answer: 'Job', failures: JOB_FAILURES },
  },
  '/v2/repository/index': {
    post: {
      summary: 'All models and versions',
      tag: 'Models',
      answer: { type: 'array', items: ref('schemas', 'IndexEntry') },
      failures: [401],
    },
  },
  '/v2': { get: { summary: 'The server and its extensions', tag: 'Server', answer: 'Server' } },
  '/v2/': { get: { summary: 'The same', tag: 'Server', answer: 'Server' } },
  '/v2/health/live': { get: { summary: 'Whether the process answers', tag: 'Server', answer: 'Live' } },
  '/v2/health/ready': {
    get: { summary: 'Whether requests can be served', tag: 'Server', answer: 'Ready', failures: [503] },
  },
  '/openapi.json': { get: { summary: 'This document', tag: 'Server', answer: { type: 'object' } } },
  '/docs': { get: { summary: 'This document, to read and to try', tag: 'Server', answer: { type: 'string' } } },
};

/** The document of the HTTP door, OpenAPI 3.1. */
export function openApiDocument(version: string): Part {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Spillway',
      version,
      description: 'An inference mesh that keeps answering when traffic exceeds capacity.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: ['Inference', 'Jobs', 'Models', 'Server'].map((name) => ({ name })),
    security: [{}, { key: [] }],
    paths: Object.fromEntries(Object.entries(ROUTES).map(([path, methods]) => [path, pathItem(path, methods)])),
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key; on loopback none is needed' },
      },
      schemas: SCHEMAS,
      parameters: REQUEST_HEADERS,
      responses: { ...failureResponses('Error'), ...failureResponses('PlainError') },
    },
  };
}

function pathItem(path: string, methods: Record<string, Operation>): Part {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
  const parameters = names.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' },
  }));
  const operations = Object.entries(methods).map(([method, operation]) => [
    method,
    operationOf(path, method, operation),
  ]);
  return { ...(parameters.length > 0 && { parameters }), ...Object.fromEntries(operations) };
}

/** `post /v2/models/{model}/infer` → `post_v2_models_model_infer`. */
const idOf = (path: string, method: string): string =>
  `${method}${path.replace(/[^A-Za-z0-9]+/g, '_')}`.replace(/_$/, '');

function operationOf(path: string, method: string, operation: Operation): Part {
  const { summary, tag, answer, body, headers = [], failures = [], plain = false, events = false } = operation;
  const kind = plain ? 'PlainError' : 'Error';
  const known = failuresByStatus();
  const statuses = [...new Set([...ANYWHERE, ...failures])].filter((status) => known.has(status)).sort((a, b) => a - b);
  const answerSchema = typeof answer === 'string' ? ref('schemas', answer) : answer;
  const binary = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
  return {
    operationId: path === '/v2/' ? 'get_v2_slash' : idOf(path, method),
    summary,
    tags: [tag],
    ...(headers.length > 0 && { parameters: headers.map((name) => ref('parameters', name)) }),
    ...(body && {
      requestBody: {
        required: true,
        content: { ...jsonOf(ref('schemas', body.schema), body.example), ...(body.binary === true && binary) },
      },
    }),
    responses: {
      200: {
        description: 'Answered',
        ...(headers.length > 0 && { headers: receiptHeaders() }),
        content: events
          ? { 'text/event-stream': { schema: answerSchema } }
          : path === '/docs'
            ? { 'text/html': { schema: answerSchema } }
            : { ...jsonOf(answerSchema), ...(body?.binary === true && binary) },
      },
      ...Object.fromEntries(statuses.map((status) => [status, ref('responses', `${kind}${status}`)])),
    },
  };
}
