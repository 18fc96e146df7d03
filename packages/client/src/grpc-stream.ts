import { errorFromFields, errorFromGrpc, type Fields, SpillwayClientError } from './errors.ts';
import type { Duplex, GrpcChannel } from './grpc-channel.ts';
import { fieldsOf } from './grpc-channel.ts';
import type { WireParameter, WireRequest, WireResponse, WireStreamResponse } from './grpc-messages.ts';

export type StreamReply = { response: WireResponse; fields: Fields };

type Waiting = { resolve(reply: StreamReply): void; reject(error: SpillwayClientError): void };

/** One ModelStreamInfer call: answers come in the order of the requests. */
export class InferStream implements Disposable {
  readonly #stream: Duplex;
  readonly #waiting: Waiting[] = [];
  #ended: SpillwayClientError | undefined;
  /** While the mesh does not read; nothing is buffered for it. */
  #full: PromiseWithResolvers<void> | undefined;

  constructor(channel: GrpcChannel, headers: Readonly<Record<string, string>>) {
    this.#stream = channel.duplex('ModelStreamInfer', headers);
    this.#stream.on('data', (message: WireStreamResponse) => this.#take(message));
    this.#stream.on('drain', () => this.#drained());
    this.#stream.on('error', () => undefined); // the status says it
    this.#stream.on('status', ({ code, details, metadata }) => {
      this.#end(
        code === 0
          ? new SpillwayClientError('UNAVAILABLE', 'the stream ended before its answers', { reason: 'connection' })
          : errorFromGrpc(code, details, fieldsOf(metadata)),
      );
    });
  }

  /** Resolves with this request's answer. @throws SpillwayClientError of the request, or of the stream with all that is on it. */
  async send(request: WireRequest): Promise<StreamReply> {
    while (this.#full !== undefined) await this.#full.promise;
    if (this.#ended !== undefined) throw this.#ended;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (!this.#stream.write(request)) this.#full = Promise.withResolvers();
    });
  }

  #drained(): void {
    this.#full?.resolve();
    this.#full = undefined;
  }

  #take({ error_message: error, infer_response: response = {} }: WireStreamResponse): void {
    const waiting = this.#waiting.shift();
    const fields = parameterFields(response.parameters);
    if (error !== undefined && error !== '') waiting?.reject(errorFromFields(error, fields));
    else waiting?.resolve({ response, fields });
  }

  #end(error: SpillwayClientError): void {
    this.#ended = error;
    this.#drained();
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** Half-closes when all is answered, else cancels what is not. */
  [Symbol.dispose](): void {
    if (this.#waiting.length === 0) this.#stream.end();
    else this.#stream.cancel();
  }
}

/** The receipt's names have "_" for "-" in parameters. */
const parameterFields =
  (parameters: Record<string, WireParameter> = {}): Fields =>
  (name) =>
    parameters[name.replaceAll('-', '_')]?.string_param;
