import type { BatcherLoad } from '@spillway/contracts/messages';
import type { Clock } from '@spillway/lifecycle/clock';
import { BatchQueue, type Taken } from './batch-queue.ts';
import { BulkFloor } from './bulk-floor.ts';
import { Capacity } from './capacity.ts';
import type { Credits, Free } from './credits.ts';
import type { Dispatch } from './in-flight.ts';
import type { Instance } from './instance.ts';
import { JobsFloor } from './jobs-floor.ts';
import { LoadMeter } from './load-meter.ts';
import { MeshView } from './mesh-view.ts';
import type { BatchRules } from './model-rules.ts';
import { partsOf } from './parts-of.ts';
import { Places } from './places.ts';
import type { Slot } from './slot.ts';
import { SpareRate } from './spare-rate.ts';
import type { Work } from './work.ts';

/** Mechanisms to do without, to show what each is good for. */
export type Mechanism =
  /** Requests are dropped and batches cut for their deadlines. */
  | 'expired'
  /** The second batch of an instance leaves when the first is nearly done, not as soon as there is a credit. */
  | 'late_staging'
  /** Bulk has a share of its own. */
  | 'floor'
  /** A wrong capacity is corrected. */
  | 'gamma';

export type ModelQueuesOptions = { jobsShare: number; bulkShare: number; off: readonly Mechanism[] };

/** A timer of the runtime is exact to this. */
const TIMER_MS = 1;
const LOOK_MS = 2;
/** Of a full batch, for jobs that go although requests wait: less wastes capacity, more lets a vip wait longer. */
const JOBS_TURN_SHARE = 0.8;

/** What waits of one model, what it can do here, and what the mesh says of it. */
export class ModelQueues {
  readonly requests: BatchQueue<Work>;
  readonly jobs: BatchQueue<Work>;
  readonly floor: JobsFloor;
  readonly bulkFloor: BulkFloor;
  readonly spare: SpareRate;
  readonly capacity: Capacity;
  readonly meter: LoadMeter;
  readonly mesh = new MeshView();
  readonly #clock: Clock;
  readonly #places: Places;
  readonly #stagesLate: boolean;
  #rules: BatchRules;
  #lingers = true;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Nothing leaves before: after a pause the pulls of all classes must have had their chance. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, rules: BatchRules, { jobsShare, bulkShare, off }: ModelQueuesOptions) {
    this.#clock = clock;
    this.#rules = rules;
    this.#places = new Places(clock, rules);
    this.#stagesLate = !off.includes('late_staging');
    this.requests = new BatchQueue(clock, rules, !off.includes('expired'));
    this.jobs = new BatchQueue(clock, rules);
    this.floor = new JobsFloor(clock, jobsShare);
    this.bulkFloor = new BulkFloor(off.includes('floor') ? 0 : bulkShare);
    this.spare = new SpareRate(clock.now());
    this.capacity = new Capacity(!off.includes('gamma'));
    this.meter = new LoadMeter(clock.now());
  }

  get rules(): BatchRules {
    return this.#rules;
  }

  setRules(rules: BatchRules): void {
    this.#rules = rules;
    this.#places.rules = rules;
    this.requests.rules = rules;
    this.jobs.rules = rules;
  }

  pauseUntil(atMs: number): void {
    this.#notBeforeMs = atMs;
  }

  /** Milliseconds until the pause is over. */
  get pausedForMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#clock.now());
  }

  queueOf(work: Work): BatchQueue<Work> {
    return work.frame.durable ? this.jobs : this.requests;
  }

  remove(matches: (work: Work) => boolean): Work[] {
    return [...this.requests.remove(matches), ...this.jobs.remove(matches)];
  }

  /** Rows of a full batch on instances of this worker. */
  operatingRows(slot: Slot, variant = ''): number {
    return this.#places.operatingRows(slot, variant);
  }

  /** How long to wait with a further batch for an instance that is busy: the later it is formed, the fuller it is, and the
   * sooner a vip that comes meanwhile is on its way. It must be there when the running one ends. */
  stageInMs({ slot }: Instance, startInMs: number): number {
    if (startInMs <= 0 || !this.#stagesLate) return 0;
    const time = slot.runTime('');
    const leadMs = slot.hop.ms + 3 * time.cv * time.predictMs(this.operatingRows(slot)) + TIMER_MS;
    const waitMs = startInMs - leadMs;
    return waitMs < TIMER_MS ? 0 : waitMs;
  }

  /**
   * The next batch for this instance, or how long to wait with it. A job runs while no request waits, and never as the second
   * batch of an instance: a request that comes now waits for one run of jobs at most. The floor excepts from both.
   */
  take(instance: Instance, credits: Credits, startInMs: number, draining: boolean): Taken<Work> | { inMs: number } {
    const { requests, jobs } = this;
    const { maxRows } = instance.slot;
    const owedRows = jobs.empty ? 0 : this.floor.dueRows(maxRows);
    const idle = requests.empty && instance.inFlight === 0 && this.spare.open;
    const turn = !jobs.empty && this.jobsTurn;
    if (owedRows > 0 || (idle && !jobs.empty) || turn) {
      const rows = requests.empty ? maxRows : turn ? Math.ceil(JOBS_TURN_SHARE * maxRows) : owedRows;
      const taken = jobs.take(this.#places.ofJobs(instance, credits, rows));
      if (taken.batch.length > 0) {
        this.floor.spend(taken.rows);
        this.spare.spend(instance.slot.runTime('').predictMs(taken.rows));
        return taken;
      }
    }
    if (requests.empty) return { inMs: Number.POSITIVE_INFINITY };
    const place = this.#places.of(instance, credits, startInMs);
    const lingerMs = this.#lingers && !draining ? this.#rules.maxQueueDelayMs : 0;
    if (lingerMs > 0) {
      const inMs = requests.dueInMs(place, lingerMs);
      if (inMs > 0 && inMs < Number.POSITIVE_INFINITY) return { inMs };
    }
    const taken = requests.take(place, { draining, floor: this.bulkFloor, lingerMs });
    this.#left(taken, instance.slot);
    return taken;
  }

  /**
   * Jobs have saved a full batch of spare capacity, and requests cannot fill one: their batches are small then, so instances are
   * hardly ever idle.
   */
  get jobsTurn(): boolean {
    const { requests, capacity, spare } = this;
    const full = requests.rowsOf(1) + requests.rowsOf(2) >= capacity.operatingRows;
    return requests.rowsOf(0) === 0 && !full && spare.owes(capacity.runMs);
  }

  /** A batch that leaves now. */
  toDispatch(instance: Instance, { batch, rows, closedBy }: Taken<Work>, batchId: string): Dispatch {
    const { slot } = instance;
    const variant = batch[0]?.variant ?? '';
    const nowMs = this.#clock.now();
    const behindMs = instance.inFlight === 0 ? slot.othersMs(nowMs) : undefined;
    const idleSinceMs = Math.max(instance.endedMs, slot.othersEndedMs);
    return {
      batchId,
      model: slot.model,
      slot,
      instance,
      work: batch,
      rows,
      closedBy,
      sentAtMs: nowMs,
      predictedMs: slot.runTime(variant).predictMs(rows),
      fullRows: this.operatingRows(slot, variant),
      short: this.requests.empty,
      idleMs: behindMs === 0 ? nowMs - idleSinceMs : 0,
      behindMs,
      withdrawn: false,
      traceparent: '',
    };
  }

  /** Requests that have no time left, or less than they would need in the instance that can end them first. */
  expire(next: Free | undefined, nowMs: number): Work[] {
    this.#lookedAtMs = nowMs;
    const expired = this.requests.expire(next && this.#places.of(next.instance, undefined, next.startInMs));
    this.capacity.dropped(expired.length);
    return expired;
  }

  /** Whether the last such look is long enough ago: it costs as much as forming a batch. */
  mayLook(nowMs: number): boolean {
    return nowMs - this.#lookedAtMs >= LOOK_MS;
  }

  /** Brings what is known up to date. @returns Whether jobs may be pulled now that could not be before: no message would say so. */
  tick(slots: readonly Slot[], nowMs: number): boolean {
    const { capacity, meter } = this;
    for (const slot of slots) slot.tick(nowMs);
    capacity.measure(slots, this.#rules, nowMs);
    const demand = this.mesh.offered(nowMs) - this.mesh.capacityElsewhere(nowMs);
    const othersMs = Math.max(0, ...slots.map(({ longestOtherMs }) => longestOtherMs));
    capacity.correct({ refusing: this.mesh.refusing(nowMs), demand, hopMs: this.hopMs(slots), othersMs }, nowMs);
    meter.tick(nowMs);
    const wasOpen = this.spare.open;
    this.spare.tick(capacity.corrected, this.#requestRate(nowMs), 2 * capacity.runMs, nowMs);
    this.mesh.prune(nowMs);
    this.#lingers = this.mesh.level(nowMs) === 0;
    return this.spare.open && !wasOpen;
  }

  /** To a worker and back, the slowest of them. */
  hopMs(slots: readonly Slot[]): number {
    let ms = 0;
    for (const { hop } of slots) ms = Math.max(ms, hop.ms);
    return ms;
  }

  /** What this batcher says of the model to the others. */
  load(slots: readonly Slot[], nowMs: number): BatcherLoad {
    const { capacity, meter } = this;
    return {
      backlog: meter.backlog((rank) => this.requests.costOf(rank), this.#ims, nowMs),
      capacityRaw: capacity.raw,
      capacity: capacity.corrected,
      healthy: capacity.healthy,
      suspect: capacity.suspect,
      runTimes: capacity.reference?.runTimes() ?? [],
      operatingRows: capacity.operatingRows,
      fill: capacity.fill,
      costPerRow: meter.knowsCost ? meter.costPerRow : 0,
      hopMs: this.hopMs(slots),
    };
  }

  /** What requests need here: what left, or this batcher's part of what gateways let in, should it wait behind jobs. */
  #requestRate(nowMs: number): number {
    const own = this.capacity.corrected;
    const part = own / Math.max(Number.MIN_VALUE, own + this.mesh.capacityElsewhere(nowMs));
    return Math.max(this.meter.costRate * this.#ims, part * this.mesh.admitted(nowMs));
  }

  /** Instance milliseconds of one unit of a request's cost. */
  get #ims(): number {
    const { operatingRows, runMs } = this.capacity;
    return runMs / (operatingRows * Math.max(Number.MIN_VALUE, this.meter.costPerRow));
  }

  #left({ batch, rows, expired }: Taken<Work>, slot: Slot): void {
    this.capacity.dropped(expired.length);
    if (rows === 0) return;
    const { costs, bulkRows, standard, latestStandardMs } = partsOf(batch);
    for (const [rank, cost] of costs.entries()) this.meter.left(rank, cost);
    this.capacity.waited(standard, this.#clock.now() - latestStandardMs);
    this.floor.earn(rows, slot.maxRows);
    this.bulkFloor.paid(rows, bulkRows, this.operatingRows(slot));
  }
}
