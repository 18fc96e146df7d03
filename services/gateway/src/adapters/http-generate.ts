import { SpillwayError } from '@spillway/errors/spillway-error';
import type { FastifyInstance } from 'fastify';
import type { DoorContext } from './door-context.ts';
import { checkedName } from './http-infer.ts';
import { modelMetadata } from './oip-metadata.ts';

type ModelParams = { model: string; version?: string };

/** `generate` and `generate_stream`: no model here generates yet, which a client learns for each model that exists. */
export function refuseGenerate(app: FastifyInstance, { catalogue, keys }: DoorContext): void {
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    for (const method of ['generate', 'generate_stream']) {
      app.post<{ Params: ModelParams }>(`${path}/${method}`, ({ headers, params }) => {
        keys.identify(headers.authorization);
        const { name } = modelMetadata(catalogue, checkedName(params.model, 'model'), params.version);
        throw new SpillwayError('UNSUPPORTED', `model "${name}" does not generate text; send it an infer request`);
      });
    }
  }
}
