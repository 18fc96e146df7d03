import { PROTO_DIR } from '@spillway/contracts/protos';
import { loadedMethod, loadServices } from '@spillway/rpc/load';
import type { GrpcService } from '@spillway/rpc/method';
import { serveUnary, type UnaryCall } from '@spillway/rpc/unary';
import { modelConfig } from '../core/model-config.ts';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import type { Identity } from '../core/request.ts';
import { requireScope } from '../core/scopes.ts';
import type { DoorContext } from './door-context.ts';
import { SERVICE } from './grpc-call.ts';
import { namesOf } from './model-params.ts';
import { modelMetadata, repositoryIndex, servedRecord, serverMetadata } from './oip-metadata.ts';
import { modelStatistics } from './oip-statistics.ts';

type ModelName = { name?: string; version?: string };
type ControlMessage = { repository_name?: string; model_name?: string; parameters?: object };

/** Everything of the service that runs no model; the same answers as the HTTP door. */
export function serveMetadata(context: DoorContext): GrpcService[] {
  const definition = loadServices(['grpc_service.proto'], [`${PROTO_DIR}/inference`])[SERVICE];
  const serve = <Request, Response>(
    name: string,
    answer: (request: Request, call: UnaryCall) => Response | Promise<Response>,
  ): GrpcService =>
    serveUnary(loadedMethod<Request, Response>(definition, name), async (message, call) => answer(message, call));
  const { catalogue } = context;
  const identify = (call: UnaryCall): Identity => {
    const identity = context.keys.identify(call.header('authorization'));
    putRateLimits(call.setTrailer, context.admission.quotaOf(identity.keyId), context.clock.now());
    return identity;
  };
  return [
    serve('ServerLive', () => ({ live: true })),
    serve('ServerReady', () => ({ ready: context.isReady() })),
    serve('ServerMetadata', () => serverMetadata()),
    serve('ModelReady', ({ name = '', version = '' }: ModelName) => ({
      ready: context.isReady() && catalogue.isReady(name, version === '' ? undefined : version),
    })),
    serve('ModelMetadata', ({ name = '', version }: ModelName, call) => {
      identify(call);
      return modelMetadata(catalogue, name, version);
    }),
    serve('ModelConfig', ({ name = '', version }: ModelName, call) => {
      identify(call);
      return { config: modelConfig(servedRecord(catalogue, name, version)) };
    }),
    serve('ModelStatistics', ({ name = '', version }: ModelName, call) => {
      identify(call);
      return modelStatistics(context, name, version);
    }),
    serve('RepositoryIndex', ({ ready = false }: { ready?: boolean }, call) => {
      identify(call);
      return { models: repositoryIndex(catalogue, ready) };
    }),
    ...(
      [
        ['RepositoryModelLoad', 'loaded'],
        ['RepositoryModelUnload', 'unloaded'],
      ] as const
    ).map(([name, wanted]) =>
      serve(name, async ({ repository_name, model_name = '', parameters }: ControlMessage, call) => {
        const caller = identify(call);
        requireScope(caller, 'admin');
        const { model } = namesOf({ model: model_name });
        await context.control.command(wanted, model, { repositoryName: repository_name, parameters }, caller);
        return {};
      }),
    ),
  ];
}
