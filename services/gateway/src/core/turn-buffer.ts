import type { TrafficClass } from '@spillway/contracts/classes';
import type { Route, WorkItem } from '@spillway/contracts/messages';

/** Requests of one model and class that leave in one message. */
export type Outgoing = { model: string; trafficClass: TrafficClass; routes: Route[]; items: WorkItem[] };

export type FrameLimits = {
  /** A frame is cut before it grows beyond this; one bigger request has a frame of its own. */
  maxFrameBytes: number;
};

type Open = Outgoing & { bytes: number; rows: number; maxRows: number };

const ITEM_OVERHEAD_BYTES = 96; // ids, numbers and tags of an item, estimated

/**
 * Collects the requests of one turn of the event loop into frames: one per model and class, cut at the byte limit and at one
 * full batch of rows, because a frame is not split between batchers.
 */
export class TurnBuffer {
  readonly #limits: FrameLimits;
  readonly #open = new Map<string, Open>();
  #full: Outgoing[] = [];

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  get empty(): boolean {
    return this.#open.size === 0 && this.#full.length === 0;
  }

  /** `maxRows`: rows of one full batch of the model, ≥ 1. `item.route` is set here. */
  add(model: string, trafficClass: TrafficClass, route: Route, item: WorkItem, maxRows: number): void {
    const key = `${trafficClass}.${model}`;
    const bytes = item.tensors.byteLength + ITEM_OVERHEAD_BYTES;
    let frame = this.#open.get(key);
    if (frame && (frame.bytes + bytes > this.#limits.maxFrameBytes || frame.rows + item.rows > frame.maxRows)) {
      this.#full.push(frame);
      frame = undefined;
    }
    if (frame === undefined) {
      frame = { model, trafficClass, routes: [], items: [], bytes: 0, rows: 0, maxRows };
      this.#open.set(key, frame);
    }
    item.route = routeIndex(frame.routes, route);
    frame.items.push(item);
    frame.bytes += bytes;
    frame.rows += item.rows;
  }

  /** All frames of the turn; the buffer is empty afterwards. */
  flush(): Outgoing[] {
    const frames = this.#full;
    this.#full = [];
    for (const frame of this.#open.values()) frames.push(frame);
    this.#open.clear();
    return frames;
  }
}

function routeIndex(routes: Route[], route: Route): number {
  for (let i = 0; i < routes.length; i += 1) {
    const known = routes[i] as Route;
    if (known.shapes === route.shapes && known.version === route.version && known.variant === route.variant) return i;
  }
  routes.push(route);
  return routes.length - 1;
}
