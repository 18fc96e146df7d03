import type { FeatureFetch } from '@spillway/contracts/messages';
import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { FeatureView } from './feature-view.ts';

/** `maxValues`: rows × fields of all views in one answer. */
export type FetchLimits = { maxEntities: number; maxViews: number; maxValues: number };

/** What is known of a view here. */
type Served = { readonly view: FeatureView };

/**
 * What is wrong with a fetch, or undefined. Entities come from callers and become keys, so they pass the allowlist.
 * Costs O(entities).
 */
export function checkFetch(
  fetch: FeatureFetch,
  views: ReadonlyMap<string, Served>,
  { maxEntities, maxViews, maxValues }: FetchLimits,
): SpillwayError | undefined {
  if (fetch.views.length === 0) return new SpillwayError('INVALID_REQUEST', 'views: expected at least one');
  if (fetch.views.length > maxViews) return tooMany('views', maxViews, fetch.views.length);
  if (fetch.entities.length === 0) return new SpillwayError('INVALID_REQUEST', 'entities: expected at least one');
  if (fetch.entities.length > maxEntities) return tooMany('entities', maxEntities, fetch.entities.length);
  const unknown = fetch.views.findIndex((view) => !views.has(view));
  if (unknown >= 0) {
    const known = [...views.keys()].sort().join(', ') || 'none';
    return new SpillwayError('NOT_FOUND', `views[${unknown}]: expected a view that is served here (${known})`);
  }
  const fields = fetch.views.reduce((sum, view) => sum + (views.get(view)?.view.fields.length ?? 0), 0);
  if (fields * fetch.entities.length > maxValues) return tooMany('values', maxValues, fields * fetch.entities.length);
  const refused = fetch.entities.findIndex((entity) => !isName(entity));
  if (refused < 0) return undefined;
  return new SpillwayError('INVALID_REQUEST', `entities[${refused}]: expected 1 to 64 letters, digits, "_" or "-"`);
}

const tooMany = (what: string, limit: number, got: number): SpillwayError =>
  new SpillwayError('PAYLOAD_TOO_LARGE', `${what}: expected at most ${limit}, got ${got}`, { reason: what });
