import { HEADERS } from '@spillway/contracts/headers';
import type { KeyQuota, QuotaState } from './admission/key-quota.ts';

type Put = (name: string, value: string) => void;

/**
 * Hands over what is left of a key's quota, name by name: for the headers of every HTTP answer and the trailers of a gRPC call.
 * Nothing for a key without one. The figures count all gateways, as far as this one knows of them.
 */
export function putRateLimits(put: Put, quota: KeyQuota | undefined, nowMs: number): void {
  if (quota === undefined) return;
  const requests = quota.requests(nowMs);
  if (requests !== undefined) {
    put(HEADERS.limitRequests, String(requests.limit));
    put(HEADERS.remainingRequests, String(requests.remaining));
    put(HEADERS.resetRequests, resetOf(requests));
  }
  const cost = quota.cost(nowMs);
  if (cost === undefined) return;
  put(HEADERS.limitCost, String(cost.limit));
  put(HEADERS.remainingCost, String(cost.remaining));
  put(HEADERS.resetCost, resetOf(cost));
}

/** A duration as these headers have it everywhere: `0s`, `120ms`, `1.5s`, `6m0s`. */
function resetOf({ resetMs }: QuotaState): string {
  const ms = Math.round(resetMs);
  if (ms <= 0) return '0s';
  if (ms < 1_000) return `${ms}ms`;
  if (ms < 60_000) return `${ms / 1_000}s`;
  const seconds = Math.ceil(ms / 1_000);
  return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
