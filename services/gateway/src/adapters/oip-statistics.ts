import { SpillwayError } from '@spillway/errors/spillway-error';
import { resolveVersion } from '../core/model-version.ts';
import { type ModelStatisticsAnswer, statisticsAnswer } from '../core/statistics-answer.ts';
import type { DoorContext } from './door-context.ts';
import { servedRecord } from './oip-metadata.ts';

/**
 * Statistics of one model or, without a name, of all; of one version or, without one, of each. The same behind HTTP and gRPC.
 * @throws SpillwayError `MODEL_NOT_FOUND`; `INVALID_REQUEST` for a version of no model; `UNAVAILABLE` when gateways cannot be asked.
 */
export async function modelStatistics(
  { catalogue, statistics }: Pick<DoorContext, 'catalogue' | 'statistics'>,
  model: string,
  version: string | undefined,
): Promise<{ model_stats: ModelStatisticsAnswer[] }> {
  const one = version !== undefined && version !== '';
  if (model === '' && one) throw new SpillwayError('INVALID_REQUEST', 'version: expected none without a name');
  const records = model === '' ? catalogue.list() : [servedRecord(catalogue, model, version)];
  const totals = await statistics.gather();
  const ofVersion = (name: string, number: string) =>
    totals.filter((entry) => entry.model === name && entry.version === number);
  const model_stats = records.flatMap((record) =>
    (one ? [resolveVersion(record, version)] : record.versions).map((number) =>
      statisticsAnswer(record.model, number, ofVersion(record.model, number)),
    ),
  );
  return { model_stats };
}
