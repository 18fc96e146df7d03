import type { ModelRecord } from '@spillway/contracts/buckets';
import { SpillwayError } from '@spillway/errors/spillway-error';

/** Versions as callers name them: digits are a version, anything else a label of the model. Answers carry the number. */

type Versions = Pick<ModelRecord, 'model' | 'versions' | 'versionLabels'>;

/** Of a label; undefined: the model has no such label. */
const labelled = ({ versionLabels }: Versions, label: string): string | undefined =>
  versionLabels !== undefined && Object.hasOwn(versionLabels, label) ? versionLabels[label] : undefined;

/** The number of the version that was named; undefined: it cannot serve. */
export function versionNumber(model: Versions, asked: string): string | undefined {
  if (model.versions.includes(asked)) return asked;
  const number = labelled(model, asked);
  return number !== undefined && model.versions.includes(number) ? number : undefined;
}

/**
 * The version that shall run; empty: the newest.
 * @throws SpillwayError `MODEL_NOT_FOUND` naming the versions or labels that the model has.
 */
export function resolveVersion(model: Versions, asked: string): string {
  if (asked !== '') {
    const number = versionNumber(model, asked);
    if (number === undefined) throw notFound(model, asked);
    return number;
  }
  const newest = model.versions.at(-1);
  if (newest !== undefined) return newest;
  throw new SpillwayError('UNAVAILABLE', `model "${model.model}" has no version that can serve`, {
    reason: 'no_version',
  });
}

function notFound(model: Versions, asked: string): SpillwayError {
  const versions = model.versions.join(', ') || 'none';
  const number = labelled(model, asked);
  const labels = Object.entries(model.versionLabels ?? {}).map(([label, version]) => `${label} (${version})`);
  const said = /^\d*$/.test(asked)
    ? `has no such version; it has ${versions}`
    : number === undefined
      ? `has no such label; it has ${labels.join(', ') || 'none'}, and the versions ${versions}`
      : `cannot serve version ${number}, which the label stands for; it has ${versions}`;
  return new SpillwayError('MODEL_NOT_FOUND', `model "${model.model}" ${said}`);
}
