import type { TrafficClass } from '@spillway/contracts/classes';
import { LoadError } from './load-error.ts';
import type { Random } from './random.ts';

export const PROTOCOLS = ['http', 'grpc', 'grpc-stream', 'events'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** What a client does when it is refused or fails. `tries` counts the first one. */
export type RetryPolicy =
  | { kind: 'none' }
  /** Tries again at once: each try has the whole deadline. */
  | { kind: 'naive'; tries: number }
  /** Comes back at the hinted time, with a new deadline; without a hint it gives up. */
  | { kind: 'obey'; tries: number }
  /** Backs off, pays from a budget, keeps to hints, and all tries share one deadline. */
  | { kind: 'budget'; tries: number };

/** One of several values, by weight. */
export type Choice<T> = readonly { value: T; weight: number }[];

/** Requests of one sort. Kinds with the same `name` are reported together. */
export type Kind = {
  name: string;
  /** Share of the requests, in parts. */
  weight: number;
  /** Other weights in single phases, by label. */
  phaseWeights: Readonly<Record<string, number>>;
  model: string;
  protocol: Protocol;
  /** Sent as `spillway-class`; the server takes the lower of it and the key's. */
  trafficClass: TrafficClass | undefined;
  key: string | undefined;
  /** Whose events these are. */
  tenant: string;
  deadlineMs: Choice<number>;
  rows: number;
  /** `spillway-accept`: the rungs between run and refuse that the caller takes. */
  accept: string | undefined;
  retry: RetryPolicy;
  /** A share of the requests is given up `afterMs` after it was sent. */
  cancel: { probability: number; afterMs: number } | undefined;
  headers: Readonly<Record<string, string>>;
};

/** Draws a value by its weight; one value costs no number. */
export function choose<T>(choice: Choice<T>, random: Random): T {
  if (choice.length === 1) return (choice[0] as Choice<T>[number]).value;
  let left = random() * choice.reduce((sum, { weight }) => sum + weight, 0);
  for (const { value, weight } of choice) {
    left -= weight;
    if (left < 0) return value;
  }
  return (choice.at(-1) as Choice<T>[number]).value;
}

/** Picks indices by weight, in constant time: the alias method (Walker 1977, Vose 1991). */
export function weightedPicker(weights: readonly number[], random: Random): () => number {
  const n = weights.length;
  const sum = weights.reduce((a, b) => a + b, 0);
  if (!(sum > 0)) throw new LoadError(`weights: expected at least one above 0, got ${weights.join(', ')}`);
  const share = weights.map((weight) => (weight * n) / sum);
  const alias = weights.map((_, index) => index);
  const small = share.flatMap((s, index) => (s < 1 ? [index] : []));
  const large = share.flatMap((s, index) => (s >= 1 ? [index] : []));
  for (let low = small.pop(); low !== undefined; low = small.pop()) {
    const high = large.pop();
    if (high === undefined) break; // rounding: all that is left is full
    alias[low] = high;
    share[high] = (share[high] as number) - (1 - (share[low] as number));
    ((share[high] as number) < 1 ? small : large).push(high);
  }
  return () => {
    const at = random() * n;
    const index = Math.floor(at);
    return at - index < (share[index] as number) ? index : (alias[index] as number);
  };
}
