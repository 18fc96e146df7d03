import type { KeyRecord } from './buckets.ts';

/** What a key may be for: `infer` synchronous requests, `jobs` durable ones, `events` a tenant's publishing, `admin` operation. */
export const SCOPES = ['infer', 'jobs', 'events', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Of a key whose record lists none. */
export const DEFAULT_SCOPES: readonly Scope[] = ['infer', 'jobs', 'events'];

export const isScope = (x: string): x is Scope => (SCOPES as readonly string[]).includes(x);

/** Keys of one family share one quota and one weight: those that rotation made of one key. */
export const familyOf = ({ id, family = id }: Pick<KeyRecord, 'id' | 'family'>): string => family;
