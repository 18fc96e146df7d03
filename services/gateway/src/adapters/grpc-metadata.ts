import { PROTO_DIR } from '@spillway/contracts/protos';
import { loadedMethod, loadServices } from '@spillway/rpc/load';
import type { GrpcService } from '@spillway/rpc/method';
import { serveUnary, type UnaryCall } from '@spillway/rpc/unary';
import { modelConfig } from '../core/model-config.ts';
import { ADMIN_SCOPE, refuseModelControl } from '../core/model-control.ts';
import type { DoorContext } from './door-context.ts';
import { SERVICE } from './grpc-call.ts';
import { modelMetadata, repositoryIndex, servedRecord, serverMetadata } from './oip-metadata.ts';
import { modelStatistics } from './oip-statistics.ts';

type ModelName = { name?: string; version?: string };

/** Everything of the service that runs no model; the same answers as the HTTP door. */
export function serveMetadata(context: DoorContext): GrpcService[] {
  const definition = loadServices(['grpc_service.proto'], [`${PROTO_DIR}/inference`])[SERVICE];
  const serve = <Request, Response>(
    name: string,
    answer: (request: Request, call: UnaryCall) => Response | Promise<Response>,
  ): GrpcService =>
    serveUnary(loadedMethod<Request, Response>(definition, name), async (message, call) => answer(message, call));
  const { catalogue, keys } = context;
  return [
    serve('ServerLive', () => ({ live: true })),
    serve('ServerReady', () => ({ ready: context.isReady() })),
    serve('ServerMetadata', () => serverMetadata()),
    serve('ModelReady', ({ name = '', version = '' }: ModelName) => ({
      ready: context.isReady() && catalogue.isReady(name, version === '' ? undefined : version),
    })),
    serve('ModelMetadata', ({ name = '', version }: ModelName, call) => {
      keys.identify(call.header('authorization'));
      return modelMetadata(catalogue, name, version);
    }),
    serve('ModelConfig', ({ name = '', version }: ModelName, call) => {
      keys.identify(call.header('authorization'));
      return { config: modelConfig(servedRecord(catalogue, name, version)) };
    }),
    serve('ModelStatistics', ({ name = '', version }: ModelName, call) => {
      keys.identify(call.header('authorization'));
      return modelStatistics(context, name, version);
    }),
    serve('RepositoryIndex', ({ ready = false }: { ready?: boolean }, call) => {
      keys.identify(call.header('authorization'));
      return { models: repositoryIndex(catalogue, ready) };
    }),
    ...['RepositoryModelLoad', 'RepositoryModelUnload'].map((name) =>
      serve(name, ({ parameters }: { parameters?: object }, call) => {
        const allowed = keys.hasScope(keys.identify(call.header('authorization')), ADMIN_SCOPE);
        throw refuseModelControl({ allowed, parameters });
      }),
    ),
  ];
}
