import { startGrpcServer } from '@spillway/rpc/server';
import type { DoorContext } from './door-context.ts';
import { SERVICE } from './grpc-call.ts';
import { OIP } from './grpc-dialect.ts';
import { serveInfer } from './grpc-infer.ts';
import { serveMetadata } from './grpc-metadata.ts';
import { servePlain } from './grpc-plain.ts';
import { serveStreamInfer } from './grpc-stream-infer.ts';

export type GrpcDoorOptions = { host: string; port: number };
export type GrpcDoor = {
  port: number;
  /** What the health service says. NOT_SERVING until told otherwise. */
  setServing(serving: boolean): void;
  /** Takes no new calls and finishes what is in flight. @returns Whether everything ended in time; the rest was reset. */
  drain(timeoutMs: number): Promise<boolean>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The gRPC door: the Open Inference Protocol v2 with Triton's additions, the plain form, and the standard health service. */
export async function openGrpcDoor(context: DoorContext, options: GrpcDoorOptions): Promise<GrpcDoor> {
  const unary = serveInfer(context, `/${SERVICE}/ModelInfer`, OIP);
  const streams = serveStreamInfer(context, `/${SERVICE}/ModelStreamInfer`, OIP);
  const plain = servePlain(context);
  const server = await startGrpcServer({
    host: options.host,
    port: options.port,
    services: [unary, streams.service, plain.unary, plain.stream.service, ...serveMetadata(context)],
    maxReceiveBytes: context.maxBodyBytes,
    publicDoor: true,
  });
  return {
    port: server.port,
    setServing: server.setServing,
    drain: (timeoutMs) => {
      streams.drain();
      plain.stream.drain();
      return server.drain(timeoutMs);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
