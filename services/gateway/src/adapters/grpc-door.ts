import { PROTO_DIR } from '@spillway/contracts/protos';
import { serveReflection } from '@spillway/rpc/reflection';
import { startGrpcServer } from '@spillway/rpc/server';
import type { ServerTls } from '@spillway/rpc/server-tls';
import type { DoorContext } from './door-context.ts';
import { serveInfer } from './grpc-infer.ts';
import { serveMetadata } from './grpc-metadata.ts';
import { serveStreamInfer } from './grpc-stream-infer.ts';

/** Without `tls` it is plain. */
export type GrpcDoorOptions = { host: string; port: number; tls?: ServerTls | undefined };
export type GrpcDoor = {
  port: number;
  /** What the health service says. NOT_SERVING until told otherwise. */
  setServing(serving: boolean): void;
  /** Takes no new calls and finishes what is in flight. @returns Whether everything ended in time; the rest was reset. */
  drain(timeoutMs: number): Promise<boolean>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The gRPC door: the Open Inference Protocol v2 with Triton's additions, and the standard health and reflection services. */
export async function openGrpcDoor(context: DoorContext, options: GrpcDoorOptions): Promise<GrpcDoor> {
  const streams = serveStreamInfer(context);
  const reflection = serveReflection(['grpc_service.proto'], [`${PROTO_DIR}/inference`]);
  const server = await startGrpcServer({
    host: options.host,
    port: options.port,
    services: [serveInfer(context), streams.service, ...serveMetadata(context), ...reflection.services],
    maxReceiveBytes: context.maxBodyBytes,
    publicDoor: true,
    tls: options.tls,
  });
  return {
    port: server.port,
    setServing: server.setServing,
    drain: (timeoutMs) => {
      streams.drain();
      reflection.close();
      return server.drain(timeoutMs);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
