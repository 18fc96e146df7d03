import { SpillwayError } from '@spillway/errors/spillway-error';

/** Of the key that may control models. */
export const ADMIN_SCOPE = 'admin';

export type ModelControl = {
  /** The key that calls has the scope. */
  allowed: boolean;
  /** As they came: an object by name, or nothing. */
  parameters: unknown;
};

/**
 * What Triton's load and unload of a model are answered with. Workers load what their folders hold when they start and cannot be
 * told to do otherwise, so every call is refused: who may not ask learns only that, and who sends a model along that this will
 * never be taken.
 */
export function refuseModelControl({ allowed, parameters }: ModelControl): SpillwayError {
  if (!allowed) {
    return new SpillwayError('FORBIDDEN', `authorization: expected a key with the scope "${ADMIN_SCOPE}"`);
  }
  if (typeof (parameters ?? {}) !== 'object' || Array.isArray(parameters)) {
    return new SpillwayError('INVALID_REQUEST', 'parameters: expected an object');
  }
  const inline = Object.keys(parameters ?? {}).find((name) => name === 'config' || name.startsWith('file:'));
  if (inline !== undefined) {
    const member = inline === 'config' ? 'config' : 'file:…';
    return new SpillwayError(
      'UNSUPPORTED',
      `parameters.${member}: expected none: models come from folders of the workers`,
    );
  }
  return new SpillwayError(
    'UNSUPPORTED',
    'load and unload are not served: workers load the models of their folders when they start',
  );
}
