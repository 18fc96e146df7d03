import type * as Grpc from '@grpc/grpc-js';
import type { CallScope } from './call-scope.ts';
import { errorFromGrpc, type Fields, SpillwayClientError } from './errors.ts';
import { DESCRIPTOR, LOAD_OPTIONS, SERVICE } from './grpc-messages.ts';
import { loadLibrary } from './load-library.ts';
import type { TlsOptions } from './request.ts';

type Unary = { response: unknown; fields: Fields };
export type Duplex = Grpc.ClientDuplexStream<object, unknown>;

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const CANCELLED = 1;

export type GrpcOptions = { key?: string | undefined; tls?: TlsOptions | undefined };

/** One connection to the gRPC door. */
export class GrpcChannel {
  readonly #grpc: typeof Grpc;
  readonly #client: Grpc.Client;
  readonly #methods: Grpc.ServiceDefinition;
  readonly #key: string | undefined;

  private constructor(
    grpc: typeof Grpc,
    methods: Grpc.ServiceDefinition,
    client: Grpc.Client,
    key: string | undefined,
  ) {
    this.#grpc = grpc;
    this.#methods = methods;
    this.#client = client;
    this.#key = key;
  }

  /** Loads the library; it connects with the first call. @param url grpc://host:port, or grpcs:// for TLS. */
  static async open(url: URL, { key, tls = {} }: GrpcOptions): Promise<GrpcChannel> {
    const grpc = await loadLibrary('@grpc/grpc-js', () => import('@grpc/grpc-js'));
    const { fromJSON } = await loadLibrary('@grpc/proto-loader', () => import('@grpc/proto-loader'));
    const methods = fromJSON(DESCRIPTOR as Parameters<typeof fromJSON>[0], LOAD_OPTIONS)[SERVICE];
    const secure = url.protocol === 'grpcs:';
    const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
    const credentials = secure
      ? grpc.credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert))
      : grpc.credentials.createInsecure();
    const client = new grpc.Client(`${url.hostname}:${url.port || (secure ? 443 : 8001)}`, credentials, {
      'grpc.enable_retries': 0, // the client retries by itself, within its budget
      'grpc.service_config_disable_resolution': 1,
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.initial_reconnect_backoff_ms': 100, // default 1 s: a restarted gateway would be missed for long
      'grpc.max_reconnect_backoff_ms': 2_000,
    });
    return new GrpcChannel(grpc, methods as Grpc.ServiceDefinition, client, key);
  }

  /**
   * Without a deadline of the channel: the mesh is told one in the headers if the caller named it, and the scope ends the call.
   * @throws SpillwayClientError by the status, or the scope's reason.
   */
  unary(name: string, request: object, headers: Readonly<Record<string, string>>, scope: CallScope): Promise<Unary> {
    const { signal } = scope;
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return new Promise((resolve, reject) => {
      let response: unknown;
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata(headers),
        (_error, answer) => {
          response = answer;
        },
      );
      const cancel = () => call.cancel();
      if (signal.aborted) cancel();
      signal.addEventListener('abort', cancel, { once: true });
      // The status comes after the answer, and brings the trailers.
      call.on('status', ({ code, details, metadata }) => {
        signal.removeEventListener('abort', cancel);
        const fields = fieldsOf(metadata);
        if (code === 0) resolve({ response, fields });
        else if (code === CANCELLED && signal.aborted) reject(signal.reason);
        else reject(errorFromGrpc(code, details, fields));
      });
    });
  }

  duplex(name: string, headers: Readonly<Record<string, string>>): Duplex {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, this.#metadata(headers));
  }

  close(): void {
    this.#client.close();
  }

  #method(name: string): Grpc.MethodDefinition<object, unknown> {
    const method = this.#methods[name];
    if (method === undefined) throw new SpillwayClientError('INTERNAL', `bug: no method ${name}`);
    return method;
  }

  #metadata(headers: Readonly<Record<string, string>>): Grpc.Metadata {
    const metadata = new this.#grpc.Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    if (this.#key !== undefined) metadata.set('authorization', `Bearer ${this.#key}`);
    return metadata;
  }
}

export const fieldsOf =
  (metadata: Grpc.Metadata): Fields =>
  (name) => {
    const [value] = metadata.get(name);
    return typeof value === 'string' ? value : undefined;
  };
