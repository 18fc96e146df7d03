import { HEADERS } from '@spillway/contracts/headers';
import type { Kind } from './kind.ts';

/** Headers, or metadata, of a kind's requests, without the deadline. */
export function requestHeaders(kind: Kind, plain: boolean): Record<string, string> {
  const { key, trafficClass, accept } = kind;
  if (plain) return { ...kind.headers };
  return {
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
    ...(trafficClass !== undefined && { [HEADERS.trafficClass]: trafficClass }),
    ...(accept !== undefined && { [HEADERS.accept]: accept }),
    ...kind.headers,
  };
}
