import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { PROTO_DIR } from '@spillway/contracts/protos';

/** A stranger's client: grpc-js, and the published files loaded as Triton's Node example loads them. */
const definition = loadSync('grpc_service.proto', {
  includeDirs: [`${PROTO_DIR}/inference`],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});
const health = loadSync('grpc/health/v1/health.proto', { includeDirs: [PROTO_DIR], keepCase: true, enums: String });

type Method = grpc.MethodDefinition<object, unknown>;
const SERVICE = definition['inference.GRPCInferenceService'] as unknown as Record<string, Method>;
const HEALTH = health['grpc.health.v1.Health'] as unknown as Record<string, Method>;

export type Headers = Record<string, string>;
export type Answered = { answer: InferAnswer; trailers: Headers };
export type InferAnswer = {
  model_name: string;
  model_version: string;
  id: string;
  parameters: Record<string, { string_param?: string; bool_param?: boolean }>;
  outputs: { name: string; datatype: string; shape: string[] }[];
  raw_output_contents: Buffer[];
};
export type StreamAnswer = { error_message: string; infer_response: InferAnswer };
/** What a failed call rejects with. */
export type Failure = { code: number; details: string; trailers: Headers };

const metadataOf = (headers: Headers): grpc.Metadata => {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
};
const headersOf = (metadata: grpc.Metadata | undefined): Headers =>
  Object.fromEntries(Object.entries(metadata?.getMap() ?? {}).map(([name, value]) => [name, String(value)]));
const failureOf = (error: grpc.ServiceError): Failure => ({
  code: error.code,
  details: error.details,
  trailers: headersOf(error.metadata),
});

type CallOptions = { headers?: Headers; timeoutMs?: number; signal?: AbortSignal };

export class InferenceClient {
  readonly #client: grpc.Client;

  constructor(port: number, options: grpc.ChannelOptions = {}, credentials = grpc.credentials.createInsecure()) {
    this.#client = new grpc.Client(`127.0.0.1:${port}`, credentials, {
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    });
  }

  /** @throws Failure */
  async call(name: string, request: object, options: CallOptions = {}): Promise<unknown> {
    return (await this.#unary(SERVICE[name] as Method, request, options)).answer;
  }

  /** @throws Failure */
  async infer(request: object, options: CallOptions = {}): Promise<Answered> {
    const { answer, trailers } = await this.#unary(SERVICE['ModelInfer'] as Method, request, options);
    return { answer: answer as InferAnswer, trailers };
  }

  async health(service: string): Promise<unknown> {
    return (await this.#unary(HEALTH['Check'] as Method, { service }, {})).answer;
  }

  /** States of a service, the present one and each that follows. */
  watchHealth(service: string): string[] {
    const { path, requestSerialize, responseDeserialize } = HEALTH['Watch'] as Method;
    const states: string[] = [];
    const call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service });
    call.on('data', ({ status }: { status: string }) => states.push(status));
    call.on('error', () => undefined); // the server has ended
    return states;
  }

  stream({ headers = {} }: { headers?: Headers } = {}): InferenceStream {
    const { path, requestSerialize, responseDeserialize } = SERVICE['ModelStreamInfer'] as Method;
    return new InferenceStream(
      this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadataOf(headers), {}),
    );
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #unary(method: Method, request: object, options: CallOptions): Promise<{ answer: unknown; trailers: Headers }> {
    const { path, requestSerialize, responseDeserialize } = method;
    const { headers = {}, timeoutMs, signal } = options;
    return new Promise((resolve, reject) => {
      let answer: unknown;
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf(headers),
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
        (error, value) => {
          if (error) reject(failureOf(error));
          else answer = value;
        },
      );
      call.on('status', ({ code, metadata }) => {
        if (code === grpc.status.OK) setImmediate(() => resolve({ answer, trailers: headersOf(metadata) }));
      });
      signal?.addEventListener('abort', () => call.cancel());
    });
  }
}

export class InferenceStream {
  readonly answers: StreamAnswer[] = [];
  readonly #call: grpc.ClientDuplexStream<object, unknown>;
  readonly #ended = Promise.withResolvers<Failure | undefined>();
  #wake: () => void = () => undefined;

  constructor(call: grpc.ClientDuplexStream<object, unknown>) {
    this.#call = call;
    call.on('data', (answer: StreamAnswer) => {
      this.answers.push(answer);
      this.#wake();
    });
    call.on('error', (error: grpc.ServiceError) => this.#ended.resolve(failureOf(error)));
    call.on('status', ({ code }) => {
      if (code === grpc.status.OK) this.#ended.resolve(undefined);
    });
  }

  /** False: the connection takes no more for now. */
  send(request: object): boolean {
    return this.#call.write(request);
  }

  halfClose(): void {
    this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }

  /** Waits for so many answers. */
  async received(count: number): Promise<StreamAnswer[]> {
    while (this.answers.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.answers;
  }

  /** Undefined: it ended with OK. */
  get ended(): Promise<Failure | undefined> {
    return this.#ended.promise;
  }
}
