import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import type { BucketSpec } from '@spillway/contracts/buckets';
import { isSpillwayError } from '@spillway/errors/spillway-error';
import { CliError, type Context } from './context.ts';
import { withoutSecrets } from './mesh-plan.ts';
import { readState } from './state-file.ts';

const WITHIN_MS = 3_000;

/** NATS of `NATS_URL`, else of the mesh that runs here; undefined: there is neither. */
export const natsUrl = ({ env, dataDir }: Pick<Context, 'env' | 'dataDir'>): string | undefined =>
  env['NATS_URL'] || readState(dataDir)?.endpoints.nats;

/**
 * Does something on the mesh's bus and leaves it.
 * @throws CliError when there is no mesh, when its NATS does not answer, or for what the bus refuses.
 */
export async function onMeshBus<T>(
  context: Pick<Context, 'env' | 'dataDir'>,
  work: (bus: Bus) => Promise<T>,
): Promise<T> {
  const url = natsUrl(context);
  if (url === undefined) {
    throw new CliError('no mesh is running', ['Start one: ./spillway up   Or name its NATS: NATS_URL=nats://…']);
  }
  try {
    await using bus = await connectBus({ url, service: 'cli', instance: `cli-${process.pid}`, withinMs: WITHIN_MS });
    return await work(bus);
  } catch (error) {
    if (!isSpillwayError(error)) throw error;
    throw new CliError(`${withoutSecrets(url)}: ${error.message}`, ['Is the mesh well? ./spillway status']);
  }
}

/** Every entry of a bucket, as it is now, by key. */
export async function readBucket<T>(bus: Bus, spec: BucketSpec): Promise<Map<string, T>> {
  const entries = new Map<string, T>();
  const watch = openBucket<T>(bus, spec).watch((key, value) => {
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
  });
  await watch.loaded;
  watch.stop();
  return entries;
}
