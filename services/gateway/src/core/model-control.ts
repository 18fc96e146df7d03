import { SpillwayError } from '@spillway/errors/spillway-error';

/**
 * What Triton's load and unload of a model are answered with. Workers load what their folders hold when they start and cannot be
 * told to do otherwise, so every call is refused, and who sends a model along learns that this will never be taken.
 * @param parameters As they came: an object by name, or nothing.
 */
export function refuseModelControl(parameters: unknown): SpillwayError {
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
