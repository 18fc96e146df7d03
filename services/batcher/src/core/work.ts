import type { TrafficClass } from '@spillway/contracts/classes';
import { classRank } from '@spillway/contracts/classes';
import type { Route, WorkFrame, WorkItem } from '@spillway/contracts/messages';
import type { Queued } from './class-lists.ts';
import type { HeldFrame } from './frames.ts';
import { bucketOf } from './model-rules.ts';

/** One request or job on its way through this batcher. Its tensors stay what they are: bytes. */
export type Work = Queued & {
  readonly item: WorkItem;
  readonly route: Route;
  readonly frame: HeldFrame;
  readonly model: string;
  readonly trafficClass: TrafficClass;
  /** What it had waited when it arrived here, ms. */
  readonly agedMs: number;
  /** Its frame does not wait for it any more. */
  settled: boolean;
  /** How often a worker was lost with it: it may be the cause. */
  losses: number;
  /** How often a worker gave it back without having started it. */
  returns: number;
  /** How often an instance fell silent with it. */
  hangs: number;
};

/** Only what has one version, one variant and equal shapes may be concatenated. The parts cannot hold a line feed. */
export const batchKey = (route: Route): string => `${route.version}\n${route.variant}\n${route.shapes}`;

const NO_ROUTE: Route = { version: '', variant: '', shapes: '' };

export type Arrival = {
  frame: HeldFrame;
  model: string;
  trafficClass: TrafficClass;
  nowMs: number;
  agedMs: number;
  /** Of the model; empty: rows of all lengths share a batch. */
  lengthBuckets?: readonly number[];
};

/**
 * The requests of a frame. Jobs wait as long as it takes: their deadline never comes, so they leave in the order they came.
 * O(items); a key is built once for each route.
 */
export function unpackFrame(message: WorkFrame, arrival: Arrival): Work[] {
  const { frame, model, trafficClass, nowMs, agedMs, lengthBuckets = [] } = arrival;
  const rank = classRank(trafficClass);
  const keys = message.routes.map(batchKey);
  return message.items.map((item) => {
    const deadlineMs = frame.durable ? Number.POSITIVE_INFINITY : nowMs + item.budgetMs - agedMs;
    const route = message.routes[item.route] ?? NO_ROUTE;
    const rows = item.rows > 0 ? item.rows : 1;
    const key = keys[item.route] ?? '';
    return {
      rank,
      key: lengthBuckets.length === 0 ? key : `${key}\n${bucketOf(lengthBuckets, item.cost / rows)}`,
      variant: route.variant,
      rows,
      cost: item.cost,
      bytes: item.tensors.length,
      deadlineMs,
      enqueuedAtMs: nowMs,
      sinceMs: nowMs - agedMs,
      orderMs: deadlineMs,
      item,
      route,
      frame,
      model,
      trafficClass,
      agedMs,
      settled: false,
      losses: item.losses ?? 0,
      returns: 0,
      hangs: 0,
    };
  });
}
