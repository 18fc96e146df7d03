import { SpillwayError } from '@spillway/errors/spillway-error';

/** The only text of users that may become part of a subject, path, Redis key or metric label. */
export const NAME_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

/** A text that has passed the allowlist; the builders of subjects and keys take nothing else. */
export type Name = string & { readonly __name: unique symbol };

export const isName = (text: string): text is Name => NAME_PATTERN.test(text);

/** @throws SpillwayError `INVALID_REQUEST`, naming `what`; the refused text is not repeated (it may hold anything). */
export function toName(text: string, what: string): Name {
  if (isName(text)) return text;
  throw new SpillwayError('INVALID_REQUEST', `${what}: expected 1 to 64 letters, digits, "_" or "-"`);
}
