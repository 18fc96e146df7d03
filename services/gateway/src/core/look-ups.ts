import type { ModelRecord } from '@spillway/contracts/buckets';
import type { TrafficClass } from '@spillway/contracts/classes';
import type { ViewRows } from '@spillway/contracts/messages';
import { elementCount, unpackBytes } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { cacheKey } from './cache-key.ts';
import { type Entry, markDegraded } from './entry.ts';
import type { TensorValue } from './request.ts';

export type FeatureSpec = NonNullable<ModelRecord['features']>;

/** `allowStale`: an answer past its time will do. */
export type CacheLookup = { key: Uint8Array; traceparent: string; trafficClass: TrafficClass; allowStale: boolean };
export type CacheFound = { value: Uint8Array; stale: boolean };

/** What a fetch of features asks for. `budgetMs`: what has not come by then is answered with defaults. */
export type FeatureWant = {
  views: string[];
  entities: string[];
  budgetMs: number;
  traceparent: string;
  trafficClass: TrafficClass;
};

const PRESENT = 0;
const STALE = 2;

/** Under brown-out, features that are slow are not waited for: the defaults of the view stand in. */
export const HURRIED_FEATURES_MS = 20;

export const keyOf = ({ request: { tenant, inputs }, model: { model, loadedBy = '' }, version }: Entry): Uint8Array =>
  cacheKey({ tenant, model, version, loadedBy, variant: '', inputs });

export function featureWant(entry: Entry, features: FeatureSpec, budgetMs: number): FeatureWant {
  const ids = entry.inputs.find((input) => input.name === features.entity) as TensorValue;
  const entities = unpackBytes(ids.data, elementCount(ids.shape), ids.name).map((id) => Buffer.from(id).toString());
  const views = features.tensors.map(({ view }) => view);
  const { traceparent, trafficClass } = entry.request;
  return { views, entities, budgetMs, traceparent, trafficClass };
}

/** The rows of the views take the place of the entity's id among the inputs. @returns the error that came instead of them. */
export function joinFeatures(
  entry: Entry,
  features: FeatureSpec,
  entities: number,
  rows: ViewRows[] | SpillwayError,
): SpillwayError | undefined {
  if (rows instanceof SpillwayError) return rows;
  const joined = rows.map((view, i): TensorValue => {
    if (view.status.some((status) => status !== PRESENT && status !== STALE)) markDegraded(entry, 'features');
    const name = (features.tensors[i] as { input: string }).input;
    return { name, datatype: 'FP32', shape: [entities, view.fields], data: view.values };
  });
  entry.inputs = [...entry.inputs.filter((input) => input.name !== features.entity), ...joined];
  return undefined;
}
