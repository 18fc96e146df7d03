/** What the user asked for cannot be done; the message names what, what was expected and what came. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
}
