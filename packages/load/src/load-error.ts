/** What the user asked for cannot be done; the message names what, what was expected and what came. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
}

/** The target does not do its part: it is away, does not know the model, or answers nothing. */
export class TargetError extends Error {
  override readonly name = 'TargetError';
}
