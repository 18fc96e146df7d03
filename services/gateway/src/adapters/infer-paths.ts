import { isName } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';

/** The paths that run a model, and the names in them. */

const PATH = /^\/v2\/models\/([^/?]+)(?:\/versions\/([^/?]+))?\/infer(?:\?|$)/;
const GENERATE_PATH = /^\/v2\/models\/([^/?]+)(?:\/versions\/([^/?]+))?\/generate(_stream)?(?:\?|$)/;
const PLAIN_PATH = /^\/v1\/models\/([^/?:]+)(?:\/versions\/([^/?:]+))?:predict(?:\?|$)/;

export type Target = { model: string; version: string };

const targetOf = (match: RegExpExecArray | null): Target | undefined =>
  match === null ? undefined : { model: match[1] as string, version: match[2] ?? '' };

/** Model and version of `/v2/models/{m}[/versions/{v}]/infer`, as they stand in the URL; undefined: another route. */
export const matchInfer = (url: string): Target | undefined => targetOf(PATH.exec(url));

/** The same of `/v1/models/{m}[/versions/{v}]:predict`. */
export const matchPredict = (url: string): Target | undefined => targetOf(PLAIN_PATH.exec(url));

/** The same of `/v2/models/{m}[/versions/{v}]/generate[_stream]`, and whether it is a stream. */
export function matchGenerate(url: string): { target: Target; streams: boolean } | undefined {
  const match = GENERATE_PATH.exec(url);
  const target = targetOf(match);
  return target && { target, streams: match?.[3] !== undefined };
}

/** Holds a decoded name against the allowlist. @throws SpillwayError `MODEL_NOT_FOUND`. */
export function checkedName(decoded: string, what: string): string {
  if (isName(decoded)) return decoded;
  throw new SpillwayError('MODEL_NOT_FOUND', `${what}: expected 1 to 64 letters, digits, "_" or "-"`);
}

/** A name as it stands in a URL, decoded once. @throws SpillwayError `MODEL_NOT_FOUND`. */
export function nameFromUrl(text: string, what: string): string {
  if (!text.includes('%')) return checkedName(text, what);
  let decoded = '';
  try {
    decoded = decodeURIComponent(text);
  } catch {
    // no name
  }
  return checkedName(decoded, what);
}
