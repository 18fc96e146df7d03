import { SpillwayClient, SpillwayClientError, type TlsOptions } from '@spillway/client';
import { isLoopback } from '@spillway/config/loopback';
import { CliError, type Context } from './context.ts';
import { readDevKey } from './dev-key.ts';
import { adviceOnAway } from './door.ts';
import { readState } from './state-file.ts';
import { readTls, TLS_OPTIONS, type TlsValues } from './tls-files.ts';

/** Options of every command that talks to the mesh's HTTP door. */
export const DOOR_OPTIONS = { url: { type: 'string' }, key: { type: 'string' }, ...TLS_OPTIONS } as const;

export type DoorValues = { url?: string | undefined; key?: string | undefined } & TlsValues;
export type DoorAddress = { url: string; key: string | undefined; tls: TlsOptions | undefined };

/** The door that was named, else that of the mesh that runs here. @throws CliError when there is neither. */
export function doorOf(context: Context, values: DoorValues): DoorAddress {
  const url = values.url ?? readState(context.dataDir)?.endpoints.http;
  if (url === undefined)
    throw new CliError('no mesh is running', ['Start one: ./spillway up   Or name its door: --url URL']);
  return { url, key: values.key ?? devKeyFor(context, url), tls: readTls(context, values, [url]) };
}

/** The development key opens the mesh of this machine: it is sent nowhere else. */
const devKeyFor = ({ dataDir }: Context, url: string): string | undefined =>
  URL.canParse(url) && isLoopback(new URL(url).hostname) ? readDevKey(dataDir) : undefined;

/** @throws CliError in the mesh's own words for what it refuses. */
export async function withClient<T>(
  context: Context,
  values: DoorValues,
  work: (client: SpillwayClient) => Promise<T>,
): Promise<T> {
  const door = doorOf(context, values);
  await using client = new SpillwayClient(door);
  try {
    return await work(client);
  } catch (error) {
    if (error instanceof SpillwayClientError) throw new CliError(error.message, adviceOf(error, door));
    throw error;
  }
}

const adviceOf = ({ code, reason, requestId }: SpillwayClientError, { url }: DoorAddress): string[] => {
  if (reason === 'connection') return adviceOnAway(url);
  return [[code, reason, requestId && `request ${requestId}`].filter(Boolean).join(', ')];
};
