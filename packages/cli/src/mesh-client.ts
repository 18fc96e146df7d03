import { SpillwayClient, SpillwayClientError } from '@spillway/client';
import { CliError, type Context } from './context.ts';
import { readDevKey } from './dev-key.ts';
import { readState } from './state-file.ts';

/** Options of every command that talks to the mesh's HTTP door. */
export const DOOR_OPTIONS = { url: { type: 'string' }, key: { type: 'string' } } as const;

export type DoorValues = { url?: string | undefined; key?: string | undefined };

/** The door that was named, else that of the mesh that runs here. @throws CliError when there is neither. */
export function doorOf(context: Context, { url, key }: DoorValues): { url: string; key: string | undefined } {
  const found = url ?? readState(context.dataDir)?.endpoints.http;
  if (found === undefined)
    throw new CliError('no mesh is running', ['Start one: ./spillway up   Or name its door: --url URL']);
  return { url: found, key: key ?? readDevKey(context.dataDir) };
}

/** @throws CliError in the mesh's own words for what it refuses. */
export async function withClient<T>(
  context: Context,
  values: DoorValues,
  work: (client: SpillwayClient) => Promise<T>,
): Promise<T> {
  await using client = new SpillwayClient(doorOf(context, values));
  try {
    return await work(client);
  } catch (error) {
    if (error instanceof SpillwayClientError) throw new CliError(error.message, adviceOf(error));
    throw error;
  }
}

const adviceOf = ({ code, reason, requestId }: SpillwayClientError): string[] => {
  if (reason === 'connection') return ['Is a mesh running? ./spillway status'];
  return [[code, reason, requestId && `request ${requestId}`].filter(Boolean).join(', ')];
};
