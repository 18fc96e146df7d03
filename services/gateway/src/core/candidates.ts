import { classRank } from '@spillway/contracts/classes';
import type { Candidate } from './admission/admission.ts';
import type { Entry } from './entry.ts';

/** Requests as admission sees them. One object serves all: it is read before the next question is asked. */
export class Candidates {
  readonly #candidate: Candidate = {
    model: '',
    rank: 0,
    tenant: '',
    keyId: '',
    rows: 0,
    cost: 0,
    budgetMs: 0,
    acceptsWait: true,
    acceptsDegraded: false,
    acceptsTicket: false,
    stickyHash: 0,
  };

  of({ request, model, rows, cost, deadlineMs, settle }: Entry, nowMs: number): Candidate {
    const candidate = this.#candidate;
    candidate.model = model.model;
    candidate.rank = classRank(request.trafficClass);
    candidate.tenant = request.tenant;
    candidate.keyId = request.keyId;
    candidate.rows = rows;
    candidate.cost = cost;
    candidate.budgetMs = deadlineMs - nowMs;
    candidate.acceptsWait = request.accept.wait;
    candidate.acceptsDegraded = request.accept.degraded && model.degradeTo !== undefined && model.degradeTo.length > 0;
    candidate.acceptsTicket = request.accept.ticket && settle.ticket !== undefined;
    candidate.stickyHash = candidate.acceptsDegraded ? hashOf(request.tenant, request.id) : 0;
    return candidate;
  }
}

/** FNV-1a over both texts, 32 bits. */
function hashOf(tenant: string, id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < tenant.length; i += 1) hash = Math.imul(hash ^ tenant.charCodeAt(i), 0x01000193);
  for (let i = 0; i < id.length; i += 1) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
