import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { checkedName } from './infer-paths.ts';

/** Of a path below `/v2/models/:model`. */
export type ModelParams = { model: string; version?: string };

/** @throws SpillwayError `MODEL_NOT_FOUND` for what cannot be a name. */
export function namesOf(params: ModelParams): { model: string; version: string | undefined } {
  const model = checkedName(params.model, 'model');
  if (params.version === undefined) return { model, version: undefined };
  if (!isName(params.version)) throw new SpillwayError('MODEL_NOT_FOUND', 'version: expected a number or a label');
  return { model, version: params.version };
}
