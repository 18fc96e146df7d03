import { SpillwayError } from '@spillway/errors/spillway-error';
import type { FastifyInstance } from 'fastify';
import type { DoorContext } from './door-context.ts';
import { identifyCaller } from './http-identify.ts';
import { type ModelParams, namesOf } from './model-params.ts';
import { modelMetadata } from './oip-metadata.ts';

/** `generate` and `generate_stream`: no model here generates yet, which a client learns for each model that exists. */
export function refuseGenerate(app: FastifyInstance, context: DoorContext): void {
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    for (const method of ['generate', 'generate_stream']) {
      app.post<{ Params: ModelParams }>(`${path}/${method}`, (request, reply) => {
        identifyCaller(context, request, reply);
        const { model, version } = namesOf(request.params);
        const { name } = modelMetadata(context.catalogue, model, version);
        throw new SpillwayError('UNSUPPORTED', `model "${name}" does not generate text; send it an infer request`);
      });
    }
  }
}
