import { PROTO_DIR } from '@spillway/contracts/protos';
import { serveReflection } from '@spillway/rpc/reflection';
import { startGrpcServer } from '@spillway/rpc/server';
import type { ServerTls } from '@spillway/rpc/server-tls';
import type { DoorContext } from './door-context.ts';
import { SERVICE } from './grpc-call.ts';
import { OIP } from './grpc-dialect.ts';
import { serveInfer } from './grpc-infer.ts';
import { serveMetadata } from './grpc-metadata.ts';
import { servePlain } from './grpc-plain.ts';
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

/** The gRPC door: the Open Inference Protocol v2 with Triton's additions, the plain form, and the standard health and reflection services. */
export async function openGrpcDoor(context: DoorContext, options: GrpcDoorOptions): Promise<GrpcDoor> {
  const unary = serveInfer(context, `/${SERVICE}/ModelInfer`, OIP);
  const streams = serveStreamInfer(context, `/${SERVICE}/ModelStreamInfer`, OIP);
  const plain = servePlain(context);
  const reflection = serveReflection(
    ['grpc_service.proto', 'spillway/v1/inference.proto'],
    [`${PROTO_DIR}/inference`, PROTO_DIR],
  );
  const inference = [unary, streams.service, plain.unary, plain.stream.service];
  const server = await startGrpcServer({
    host: options.host,
    port: options.port,
    services: [...inference, ...serveMetadata(context), ...reflection.services],
    maxReceiveBytes: context.maxBodyBytes,
    publicDoor: true,
    tls: options.tls,
  });
  return {
    port: server.port,
    setServing: server.setServing,
    drain: (timeoutMs) => {
      streams.drain();
      plain.stream.drain();
      reflection.close();
      return server.drain(timeoutMs);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
