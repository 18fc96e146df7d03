import { CLASSES } from '@spillway/contracts/classes';
import type { LoadState, WorkFrame } from '@spillway/contracts/messages';
import { Admission } from '@spillway/gateway/core/admission/admission';
import { TurnBuffer } from '@spillway/gateway/core/turn-buffer';
import { type Attempt, expire, fail, refuse, settle } from './attempt.ts';
import type { SimItem } from './batcher-node.ts';
import type { Jobs } from './jobs.ts';
import { type Draw, type Mechanism, recordOf, type World } from './spec.ts';
import type { WorkStream } from './work-stream.ts';

const MAX_FRAME_BYTES = 64 * 1024;
const LAG_SAMPLE_MS = 20;
const UTILIZATION_WEIGHT = 0.1; // a mean over about 200 ms
const TICK_MS = 50;
const NO_BYTES = new Uint8Array(0);
const ROUTE = { version: '1', shapes: 'x' };

/** A gateway: the product's admission and frames, and the one thread they share. */
export class GatewayNode {
  readonly name: string;
  admission: Admission;
  readonly #world: World;
  readonly #streams: ReadonlyMap<string, WorkStream>;
  readonly #jobs: Jobs;
  readonly #buffer = new TurnBuffer({ maxFrameBytes: MAX_FRAME_BYTES });
  readonly #draw: Draw;
  readonly #pending = new Set<Attempt>();
  #seq = 0;
  #flushing = false;
  #alive = true;
  #life = 1;
  #stopped = false;
  #missed: (() => void)[] = [];
  /** Waiting for the thread, oldest first; only with a cost of processor time. */
  #queue: Attempt[] = [];
  #running = false;
  #lagMs = 0;
  #busyMs = 0;
  #utilization = 0;

  constructor(world: World, name: string, streams: ReadonlyMap<string, WorkStream>, jobs: Jobs) {
    const { sim, spec } = world;
    this.name = name;
    this.#world = world;
    this.#streams = streams;
    this.#jobs = jobs;
    this.#draw = world.draw(`${name} features`);
    this.admission = this.#start();
    sim.every(TICK_MS, TICK_MS * this.#draw(), () => {
      if (this.#alive && !this.#stopped) this.admission.tick(sim.now());
      return undefined;
    });
    if (spec.cpu !== undefined) {
      sim.every(LAG_SAMPLE_MS, LAG_SAMPLE_MS, () => {
        this.#utilization += UTILIZATION_WEIGHT * (Math.min(1, this.#busyMs / LAG_SAMPLE_MS) - this.#utilization);
        this.#busyMs = 0;
        this.admission.observeLag(this.#lagMs, sim.now(), { utilization: this.#utilization, starved: 0 });
        return undefined;
      });
    }
  }

  get alive(): boolean {
    return this.#alive;
  }

  submit(attempt: Attempt): void {
    const { sim, spec } = this.#world;
    if (!this.#alive) {
      fail(attempt, 'connection');
      return;
    }
    if (this.#stopped) {
      sim.at(attempt.deadlineMs, expire, attempt);
      this.#missed.push(() => attempt.open && this.submit(attempt));
      return;
    }
    if (spec.cpu === undefined) {
      this.#handle(attempt);
      return;
    }
    sim.at(attempt.deadlineMs, expire, attempt);
    this.#queue.push(attempt);
    if (!this.#running) this.#nextTurn();
  }

  onLoad(model: string, state: LoadState, transitMs: number): void {
    if (!this.#alive) return;
    if (this.#stopped) this.#missed.push(() => this.onLoad(model, state, transitMs));
    else this.admission.onLoad(model, state, transitMs, this.#world.sim.now());
  }

  load(model: string) {
    return this.#alive && !this.#stopped ? this.admission.loadOf(model, this.#world.sim.now()) : undefined;
  }

  /** Everyone who waits here loses the connection. */
  kill(): void {
    this.#alive = false;
    for (const attempt of [...this.#pending, ...this.#queue]) fail(attempt, 'connection');
    this.#queue = [];
    this.#buffer.flush();
  }

  get epoch(): number {
    return this.#life;
  }

  restart(): void {
    this.#life += 1;
    this.#alive = true;
    this.admission = this.#start();
  }

  stop(): void {
    this.#stopped = true;
  }

  resume(): void {
    this.#stopped = false;
    const missed = this.#missed;
    this.#missed = [];
    for (const handle of missed) handle();
  }

  #start(): Admission {
    const { sim, spec, draw } = this.#world;
    const off = OFF.filter(([mechanism]) => spec.off.has(mechanism)).map(([, setting]) => setting);
    const random = draw(`${this.name} admission`);
    const admission = new Admission({ random, instance: this.name, settings: { off }, nowMs: sim.now() });
    for (const model of spec.models) admission.setModel(recordOf(model));
    for (const key of spec.keys) admission.setKey(key);
    return admission;
  }

  #nextTurn(): void {
    const { sim, spec } = this.#world;
    const attempt = this.#queue.shift();
    this.#running = attempt !== undefined;
    if (attempt === undefined) {
      this.#lagMs = 0;
      return;
    }
    this.#lagMs = sim.now() - attempt.sentAtMs;
    const { acceptMs, refuseMs, refuseReadMs } = spec.cpu as NonNullable<typeof spec.cpu>;
    let tookMs = refuseMs;
    if (!this.#refusedAtDoor(attempt, refuseMs)) tookMs = this.#decide(attempt, refuseReadMs) ? refuseReadMs : acceptMs;
    this.#busyMs += tookMs;
    sim.after(tookMs, this.#turnEnded, undefined);
  }

  readonly #turnEnded = (): void => this.#nextTurn();

  #handle(attempt: Attempt): void {
    if (this.#refusedAtDoor(attempt, 0)) return;
    const { features } = this.#world.spec;
    if (features === undefined) this.#decide(attempt, 0);
    else {
      const joinMs = features.fromMs + this.#draw() * (features.toMs - features.fromMs);
      this.#world.sim.after(joinMs, this.#joined, attempt);
    }
  }

  readonly #joined = (attempt: Attempt): void => {
    if (attempt.open) this.#decide(attempt, 0);
  };

  #refusedAtDoor(attempt: Attempt, costMs: number): boolean {
    const { rank, tenant, keyId, acceptsTicket, deadlineMs, model } = attempt;
    const nowMs = this.#world.sim.now();
    const budgetMs = deadlineMs - nowMs;
    const unread = { model: model.name, rank, tenant, keyId, budgetMs, acceptsTicket, noCache: false };
    const decision = this.admission.atDoor(rank, keyId, nowMs) ?? this.admission.beforeBody(unread, nowMs);
    if (decision === undefined) return false;
    this.#refuse(attempt, decision.reason, decision.retryAfterMs, costMs);
    return true;
  }

  /** True: refused. */
  #decide(attempt: Attempt, costMs: number): boolean {
    const { sim, spec } = this.#world;
    const nowMs = sim.now();
    const model = attempt.model.name;
    const decision = this.admission.decide(
      {
        model,
        rank: attempt.rank,
        tenant: attempt.tenant,
        keyId: attempt.keyId,
        rows: attempt.rows,
        cost: attempt.rows,
        budgetMs: attempt.deadlineMs - nowMs,
        acceptsWait: true,
        acceptsDegraded: attempt.model.variants !== undefined,
        acceptsTicket: attempt.acceptsTicket,
        stickyHash: (attempt.user * 2654435761) >>> 0,
      },
      nowMs,
    );
    if (decision.rung === 'refused') {
      this.#refuse(attempt, decision.reason, decision.retryAfterMs, costMs);
      return true;
    }
    if (decision.rung === 'ticket') {
      if (this.#jobs.take(attempt)) {
        settle(attempt, { outcome: 'ticket', reason: decision.reason, retryAfterMs: 0, degraded: false });
        return false;
      }
      this.#refuse(attempt, 'no_room_for_tickets', 0, costMs);
      return true;
    }
    attempt.admitted = true;
    attempt.variant = decision.variant;
    attempt.onEnd = this.#ended;
    this.#pending.add(attempt);
    if (spec.cpu === undefined) sim.at(attempt.deadlineMs, expire, attempt);
    const { rank, variant, predictedFinishMs, costIms } = decision;
    this.#enqueue(attempt, rank, variant);
    this.admission.published(model, rank, costIms, nowMs);
    const budgetMs = attempt.deadlineMs - nowMs;
    const againInMs = this.admission.resubmitAfterMs(model, rank, budgetMs, predictedFinishMs);
    if (againInMs < budgetMs) sim.after(againInMs, this.#resubmit, { attempt, rank });
    return false;
  }

  /** A dying batcher has probably lost it: once more, if that still fits. */
  readonly #resubmit = ({ attempt, rank }: { attempt: Attempt; rank: number }): void => {
    const nowMs = this.#world.sim.now();
    if (!attempt.open || !this.#alive || this.#stopped) return;
    if (!this.admission.mayResubmit(attempt.model.name, rank, attempt.deadlineMs - nowMs, nowMs)) return;
    this.#enqueue(attempt, rank, attempt.variant);
  };

  #enqueue(attempt: Attempt, rank: number, variant: string): void {
    const { sim, spec } = this.#world;
    this.#seq += 1;
    const item: SimItem = {
      seq: this.#seq,
      requestId: '',
      budgetMs: attempt.deadlineMs - sim.now(),
      rows: attempt.rows,
      cost: attempt.rows,
      route: 0,
      traceparent: '',
      tensors: NO_BYTES,
      tenant: attempt.tenant,
      attempt,
    };
    const trafficClass = CLASSES[rank] as (typeof CLASSES)[number];
    this.#buffer.add(attempt.model.name, trafficClass, { ...ROUTE, variant }, item, attempt.model.maxRows);
    if (this.#flushing) return;
    this.#flushing = true;
    sim.after(spec.turnMs, this.#flush, undefined);
  }

  readonly #flush = (): void => {
    const { sim, spec } = this.#world;
    this.#flushing = false;
    if (!this.#alive) return;
    const sentMs = sim.now();
    for (const outgoing of this.#buffer.flush()) {
      const frame: WorkFrame = { gateway: this.name, replyTo: this.name, sentMs, ...outgoing };
      sim.after(spec.hopMs + spec.jitterMs * this.#draw(), this.#publish, frame);
    }
  };

  readonly #publish = (frame: WorkFrame): void => {
    const { sim, spec } = this.#world;
    const stream = this.#streams.get(`${frame.trafficClass} ${frame.model}`) as WorkStream;
    if (!stream.publish(frame)) sim.after(spec.hopMs, this.#streamFull, frame);
  };

  readonly #streamFull = (frame: WorkFrame): void => {
    const nowMs = this.#world.sim.now();
    this.admission.streamFull(frame.model, CLASSES.indexOf(frame.trafficClass as never), nowMs);
    for (const item of frame.items) refuse((item as SimItem).attempt, 'queue_bound', 0);
  };

  readonly #ended = (attempt: Attempt, answered: boolean): void => {
    this.#pending.delete(attempt);
    this.admission.ended(attempt.model.name);
    if (answered) this.admission.answered(attempt.model.name);
  };

  #refuse(attempt: Attempt, reason: string, retryAfterMs: number, costMs: number): void {
    if (costMs === 0) refuse(attempt, reason, retryAfterMs);
    else this.#world.sim.after(costMs, () => refuse(attempt, reason, retryAfterMs), undefined);
  }
}

const OFF = [
  ['g1', 'guard'],
  ['g2', 'quota'],
  ['g3', 'fair_rate'],
  ['g4', 'predicted_finish'],
  ['bound', 'queue_bound'],
  ['age', 'age'],
  ['brownout', 'brownout'],
] as const satisfies readonly (readonly [Mechanism, string])[];
