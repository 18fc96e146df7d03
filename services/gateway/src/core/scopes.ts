import type { Scope } from '@spillway/contracts/keys';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Identity } from './request.ts';

/** @throws SpillwayError `FORBIDDEN` naming the scope that the caller's key does not have. */
export function requireScope({ scopes }: Pick<Identity, 'scopes'>, scope: Scope): void {
  if (scopes.includes(scope)) return;
  throw SpillwayError.refusal('FORBIDDEN', `authorization: expected a key with the scope "${scope}"`, {
    reason: 'scope',
  });
}
