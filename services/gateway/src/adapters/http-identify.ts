import type { Scope } from '@spillway/contracts/keys';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { putRateLimits } from '../core/rate-limit-fields.ts';
import type { Identity } from '../core/request.ts';
import { requireScope } from '../core/scopes.ts';
import type { DoorContext } from './door-context.ts';

/**
 * Who calls a route of fastify; what is left of the key's quota goes into the answer's headers.
 * @throws SpillwayError `UNAUTHENTICATED`, or `FORBIDDEN` naming the scope that the key does not have.
 */
export function identifyCaller(
  { keys, admission, clock }: Pick<DoorContext, 'keys' | 'admission' | 'clock'>,
  request: FastifyRequest,
  reply: FastifyReply,
  scope?: Scope,
): Identity {
  const identity = keys.identify(request.headers.authorization);
  const put = (name: string, value: string) => void reply.header(name, value);
  putRateLimits(put, admission.quotaOf(identity.keyId), clock.now());
  if (scope !== undefined) requireScope(identity, scope);
  return identity;
}
