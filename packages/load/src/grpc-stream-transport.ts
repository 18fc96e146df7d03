import type { Client, ClientDuplexStream, StatusObject } from '@grpc/grpc-js';
import { type Answer, type Attempt, failed, type Transport } from './attempt.ts';
import { metadataOf, openClient, sameBytes } from './grpc-client.ts';
import type { GrpcTarget } from './grpc-transport.ts';
import { idField, readStreamResponse, STREAM_PATH, timeoutParameter } from './infer-message.ts';
import type { Kind } from './kind.ts';
import type { Payload } from './payload.ts';
import { answered, notAnswered } from './receipt.ts';
import { requestHeaders } from './request-headers.ts';

/** ModelStreamInfer: the requests of a kind share `channels` streams. A stream that ends is opened again by the next request. */
export function grpcStreamTransport(target: GrpcTarget, payloadOf: (kindIndex: number) => Payload): Transport {
  const streams: InferStream[][] = [];
  let sent = 0;
  const send = (attempt: Attempt, onEnd: (answer: Answer) => void): (() => void) => {
    const { kind, kindIndex } = attempt;
    const payload = payloadOf(kindIndex);
    streams[kindIndex] ??= Array.from({ length: target.channels }, () => new InferStream(target, kind, payload));
    sent += 1;
    const stream = streams[kindIndex][sent % target.channels] as InferStream;
    return stream.send(attempt, onEnd);
  };
  return {
    send,
    get connections() {
      return streams.flat().length;
    },
    close: async () => {
      for (const stream of streams.flat()) stream.close();
    },
  };
}

type Open = { input: number; onEnd: (answer: Answer) => void };

class InferStream {
  readonly #client: Client;
  readonly #target: GrpcTarget;
  readonly #kind: Kind;
  readonly #payload: Payload;
  readonly #open = new Map<string, Open>();
  #call: ClientDuplexStream<Buffer, Buffer> | undefined;
  #lastId = 0;

  constructor(target: GrpcTarget, kind: Kind, payload: Payload) {
    this.#client = openClient(target);
    this.#target = target;
    this.#kind = kind;
    this.#payload = payload;
  }

  /** The protocol has no message that gives up on one request: its answer is only not waited for. */
  send(attempt: Attempt, onEnd: (answer: Answer) => void): () => void {
    this.#call ??= this.#begin();
    this.#lastId += 1;
    const id = String(this.#lastId);
    this.#open.set(id, { input: attempt.input, onEnd });
    const parts = [this.#payload.message(attempt.input), idField(id)];
    if (!this.#target.plain) parts.push(timeoutParameter(attempt.budgetMs));
    this.#call.write(Buffer.concat(parts));
    return () => void this.#open.delete(id);
  }

  close(): void {
    this.#call?.cancel();
    this.#client.close();
  }

  #begin(): ClientDuplexStream<Buffer, Buffer> {
    const metadata = metadataOf(requestHeaders(this.#kind, this.#target.plain));
    const call = this.#client.makeBidiStreamRequest(STREAM_PATH, sameBytes, sameBytes, metadata);
    call.on('data', (message: Buffer) => this.#received(message));
    call.on('error', () => undefined); // `status` says the same, and also tells of an end in order
    call.on('status', ({ code }: StatusObject) => this.#lost(call, `stream ended: grpc ${code}`));
    return call;
  }

  #received(message: Buffer): void {
    const { id, error, parameters, raw } = readStreamResponse(message);
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    const field = (name: string): string => parameters.get(name.replaceAll('-', '_')) ?? '';
    if (error !== '') open.onEnd(notAnswered(field, { refused: false, text: `stream: ${error.slice(0, 80)}` }));
    else open.onEnd(answered(field, this.#payload.isWrongMessage(raw, open.input)));
  }

  #lost(call: ClientDuplexStream<Buffer, Buffer>, reason: string): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    const lost = [...this.#open.values()];
    this.#open.clear();
    for (const { onEnd } of lost) onEnd(failed(reason));
  }
}
