import type { WorkFrame } from '@spillway/contracts/messages';
import type { Attempt } from './attempt.ts';
import type { SimItem } from './batcher-node.ts';
import type { World } from './spec.ts';
import type { WorkStream } from './work-stream.ts';

const MOST_JOBS = 1_000_000;

/** Tickets: requests that became durable jobs, one frame each, and what became of them. */
export class Jobs {
  readonly #world: World;
  readonly #streams: ReadonlyMap<string, WorkStream>;
  readonly endedAtMs: number[] = [];
  taken = 0;

  constructor(world: World, streams: readonly WorkStream[]) {
    this.#world = world;
    this.#streams = new Map(streams.map((stream) => [`${stream.trafficClass} ${stream.model}`, stream]));
  }

  get open(): number {
    return this.taken - this.endedAtMs.length;
  }

  /** False: there is no room. */
  take({ model, tenant, rows, rank, user }: Attempt): boolean {
    if (this.open >= MOST_JOBS) return false;
    const { sim, spec } = this.#world;
    this.taken += 1;
    const attempt: Attempt = {
      model,
      rank,
      tenant,
      keyId: '',
      user,
      rows,
      acceptsTicket: false,
      sentAtMs: sim.now(),
      deadlineMs: Number.POSITIVE_INFINITY,
      onAnswer: () => this.endedAtMs.push(sim.now()),
      open: true,
      admitted: true,
      variant: '',
      onEnd: undefined,
    };
    const item: SimItem = {
      seq: this.taken,
      requestId: '',
      budgetMs: 0,
      rows,
      cost: rows,
      route: 0,
      traceparent: '',
      tensors: new Uint8Array(0),
      tenant,
      job: { tenant, job: String(this.taken), ackSubject: '', originSubject: '', traceparent: '' },
      attempt,
    };
    const frame: WorkFrame = {
      gateway: 'jobs',
      replyTo: '',
      sentMs: sim.now(),
      model: model.name,
      trafficClass: 'bulk',
      routes: [{ version: '1', variant: '', shapes: 'x' }],
      items: [item],
    };
    sim.after(spec.hopMs, (sent: WorkFrame) => this.#streams.get(`bulk ${sent.model}`)?.publish(sent), frame);
    return true;
  }
}
