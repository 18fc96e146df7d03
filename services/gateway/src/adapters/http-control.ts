import type { FastifyInstance } from 'fastify';
import { modelConfig } from '../core/model-config.ts';
import type { DoorContext } from './door-context.ts';
import { identifyCaller } from './http-identify.ts';
import { type ModelParams, namesOf } from './model-params.ts';
import { servedRecord } from './oip-metadata.ts';
import { modelStatistics } from './oip-statistics.ts';

/** Triton's additions to the HTTP door that run no model; the same answers as the gRPC door. */
export function controlRoutes(app: FastifyInstance, context: DoorContext): void {
  const { catalogue } = context;
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get<{ Params: ModelParams }>(`${path}/config`, (request, reply) => {
      identifyCaller(context, request, reply);
      const { model, version } = namesOf(request.params);
      return modelConfig(servedRecord(catalogue, model, version));
    });
    app.get<{ Params: ModelParams }>(`${path}/stats`, (request, reply) => {
      identifyCaller(context, request, reply);
      const { model, version } = namesOf(request.params);
      return modelStatistics(context, model, version);
    });
  }
  app.get('/v2/models/stats', (request, reply) => {
    identifyCaller(context, request, reply);
    return modelStatistics(context, '', undefined);
  });
  for (const [action, wanted] of [
    ['load', 'loaded'],
    ['unload', 'unloaded'],
  ] as const) {
    app.post<{ Params: ModelParams }>(`/v2/repository/models/:model/${action}`, async (request, reply) => {
      const caller = identifyCaller(context, request, reply, 'admin');
      const { model } = namesOf(request.params);
      const { parameters } = (request.body ?? {}) as { parameters?: unknown };
      await context.control.command(wanted, model, { parameters }, caller);
      return reply.code(200).send();
    });
  }
}
