import { Metadata, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { type CallFacts, factsOf } from './call-facts.ts';
import { toServiceError } from './errors.ts';
import { asBuffer, type GrpcService, type Method, rawMethod } from './method.ts';

export type UnaryCall = CallFacts & {
  /** Trailers of the answer, good or bad; names in lower case, values in printable ASCII. */
  setTrailer(name: string, value: string): void;
  /** The caller went away, or its deadline passed: grpc-js has answered by then. */
  onCancel(handler: () => void): void;
};

/** Serves one method of one question and one answer. What the handler throws ends the call as its code says. */
export function serveUnary<Request, Response>(
  method: Method<Request, Response>,
  handle: (request: Request, call: UnaryCall) => Promise<Response>,
): GrpcService {
  const answer = (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
    const trailers = new Metadata();
    run(method, handle, call, trailers).then(
      (bytes) => done(null, bytes, trailers),
      (thrown: unknown) => {
        const error = toServiceError(SpillwayError.from(thrown));
        error.metadata.merge(trailers);
        done(error);
      },
    );
  };
  return { definition: { call: rawMethod(method.path, 'unary') }, handlers: { call: answer } };
}

async function run<Request, Response>(
  method: Method<Request, Response>,
  handle: (request: Request, call: UnaryCall) => Promise<Response>,
  call: ServerUnaryCall<Buffer, Buffer>,
  trailers: Metadata,
): Promise<Buffer> {
  const request = method.request.decode(call.request);
  const facts = factsOf(call);
  const response = await handle(request, {
    ...facts,
    setTrailer: (name, value) => trailers.set(name, value),
    onCancel: (handler) => void call.on('cancelled', handler),
  });
  return asBuffer(method.response.encode(response));
}
