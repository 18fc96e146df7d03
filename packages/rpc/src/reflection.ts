import { fileDescriptors } from '@spillway/contracts/file-descriptors';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { type DuplexService, type ServedDuplex, serveDuplex } from './duplex.ts';
import { loadedMethod, loadServices } from './load.ts';
import type { GrpcService } from './method.ts';
import { ReflectionIndex, type ReflectionRequest, type ReflectionResponse } from './reflection-index.ts';

const VERSIONS = ['v1', 'v1alpha']; // older tools know only the second
const fileOf = (version: string): string => `grpc/reflection/${version}/reflection.proto`;
/** Served beside whatever else a server serves; the last says what the details of its errors are. */
const OWN_FILES = ['grpc/health/v1/health.proto', ...VERSIONS.map(fileOf), 'google/rpc/error_details.proto'];

type Stream = ServedDuplex<ReflectionRequest, ReflectionResponse>;
export type Reflection = {
  services: GrpcService[];
  /** Ends the open streams, which would otherwise keep a draining server open. */
  close(): void;
};

/** gRPC server reflection, in both of its versions. @param files Those of all services of the server but health and reflection. */
export function serveReflection(files: readonly string[], includeDirs: readonly string[]): Reflection {
  const index = new ReflectionIndex(fileDescriptors([...files, ...OWN_FILES], [...includeDirs, PROTO_DIR]));
  const services = VERSIONS.map((version): DuplexService<ReflectionRequest, ReflectionResponse> => {
    const service = loadServices([fileOf(version)], [PROTO_DIR])[`grpc.reflection.${version}.ServerReflection`];
    const method = loadedMethod<ReflectionRequest, ReflectionResponse>(service, 'ServerReflectionInfo');
    return serveDuplex(method, (stream) => answerAll(stream, index));
  });
  return {
    services,
    close: () => {
      for (const { streams } of services) for (const stream of streams) stream.close();
    },
  };
}

/** Who does not read its answers is read from no further. */
function answerAll(stream: Stream, index: ReflectionIndex): void {
  let unsent: ReflectionResponse | undefined;
  stream.onEnd(() => stream.close());
  stream.onMessage((request) => {
    const answer = index.answer(request);
    if (stream.send(answer)) return;
    unsent = answer;
    stream.pause();
  });
  stream.onDrain(() => {
    if (unsent === undefined || !stream.send(unsent)) return;
    unsent = undefined;
    stream.resume();
  });
}
