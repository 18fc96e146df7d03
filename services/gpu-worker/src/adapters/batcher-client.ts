import type { Bus } from '@spillway/bus/bus';
import { watchLeases } from '@spillway/bus/leases';
import type { BatchDone, ServedModel } from '@spillway/contracts/messages';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { Credits } from '../core/credits.ts';
import type { BatchHead } from '../core/executor-messages.ts';
import { chooseHomes } from '../core/home.ts';
import { BatcherLink } from './batcher-link.ts';

/** Who sent a batch and hears of its end. */
export type BatchOrigin = { done(done: BatchDone): void };

export type BatcherClientOptions = {
  bus: Bus;
  instance: string;
  clock: Clock;
  served: () => ServedModel[];
  /** Executors that can run the model now. */
  slotsOf: (model: string) => number;
  onBatch: (origin: BatchOrigin, head: BatchHead, message: Uint8Array) => void;
  onHome: (home: string | undefined, warm: string | undefined) => void;
  onDown: (batcher: string, reason: SpillwayError) => void;
};

/** What was under way when a Goodbye was sent arrives within this. */
const GOODBYE_GRACE_MS = 250;
/** A batcher that said Drain is not dialled again for so long; its lease says the same soon. */
const DRAINED_FOR_MS = 3_000;

/**
 * Finds the batchers by their leases and dials them: one is this worker's home and gets its credits, a second is kept warm.
 * When the home is lost the warm one gets the credits at once; what was begun for the lost one is finished, its answers go
 * straight to the gateways.
 */
export class BatcherClient {
  readonly #options: BatcherClientOptions;
  readonly #credits = new Credits();
  readonly #batchers;
  readonly #workers;
  readonly #links = new Map<string, BatcherLink>(); // by instance; retiring ones are not in it
  readonly #retiring = new Set<Promise<void>>();
  readonly #drained = new Map<string, number>(); // instance → until when, ms
  readonly #timers = new Set<NodeJS.Timeout>();
  #home: BatcherLink | undefined;
  #leaving = false;

  constructor(options: BatcherClientOptions) {
    this.#options = options;
    this.#batchers = watchLeases(options.bus, 'batcher', options.clock);
    this.#workers = watchLeases(options.bus, 'gpu-worker', options.clock);
    this.#batchers.onChange(() => this.#arrange());
    this.#workers.onChange(() => this.#arrange());
    this.#countSlots();
    this.#arrange();
  }

  /** The batcher that has the credits, if there is one. */
  get home(): string | undefined {
    return this.#home?.up ? this.#home.instance : undefined;
  }

  /** Batches that came and are not over. */
  get held(): number {
    return this.#credits.held();
  }

  /** Executors came or went: grant what is new, and nothing for what is gone. */
  slotsChanged(): void {
    this.#countSlots();
    this.#grantAll();
  }

  /** A model was loaded or unloaded: batchers hear what is served now, then get credits for it. */
  modelsChanged(): void {
    const served = new Set(this.#options.served().map(({ model }) => model));
    for (const model of this.#credits.models()) if (!served.has(model)) this.#credits.revoke(model);
    for (const link of this.#links.values()) link.greet();
    this.slotsChanged();
  }

  /** A batch is over: its batcher hears of it, then its credit goes to the home. */
  finished(origin: BatchOrigin, done: BatchDone): void {
    this.#credits.finished(done.model);
    origin.done(done);
    this.#grant(done.model);
  }

  #countSlots(): void {
    const { served, slotsOf } = this.#options;
    const models = new Set([...this.#credits.models(), ...served().map(({ model }) => model)]);
    for (const model of models) this.#credits.setSlots(model, slotsOf(model));
  }

  /** Brings the links to what the leases say. */
  #arrange(): void {
    if (this.#leaving) return;
    const now = this.#options.clock.now();
    const leases = this.#batchers.list().filter((lease) => lease.state === 'ready' && lease.address !== '');
    for (const [instance, untilMs] of this.#drained) if (untilMs <= now) this.#drained.delete(instance);
    const present = leases.filter((lease) => !this.#drained.has(lease.instance));
    const { instance: self } = this.#options;
    const workers = this.#workers
      .list()
      .filter((lease) => lease.state === 'ready')
      .map((lease) => lease.instance);
    const { home, warm } = chooseHomes({ batchers: present.map((lease) => lease.instance), workers, self });
    for (const [instance, link] of this.#links) {
      const lease = present.find((candidate) => candidate.instance === instance);
      const wanted = instance === home || instance === warm;
      if (!wanted || lease?.address !== link.address) this.#retire(link);
    }
    for (const { instance, address } of present) {
      if ((instance === home || instance === warm) && !this.#links.has(instance)) this.#dial(instance, address);
    }
    this.#settle(home, warm);
  }

  #dial(instance: string, address: string): void {
    const { served, instance: self } = this.#options;
    const link = new BatcherLink({
      instance,
      address,
      hello: () => ({ instance: self, models: served() }),
      events: {
        onUp: (up) => this.#cameUp(up),
        onDown: (down, reason) => this.#wentDown(down, reason),
        onBatch: (from, head, message) => {
          this.#credits.accepted(head.model, from === this.#home);
          this.#options.onBatch(from, head, message);
        },
        onDrain: (from) => this.#sentAway(from),
      },
    });
    this.#links.set(instance, link);
  }

  #chosen: { home: string | undefined; warm: string | undefined } = { home: undefined, warm: undefined };

  /** Gives the credits to the home that the leases name, unless its stream has failed and the warm one's is up. */
  #settle(home: string | undefined, warm: string | undefined): void {
    this.#chosen = { home, warm };
    const first = home === undefined ? undefined : this.#links.get(home);
    const second = warm === undefined ? undefined : this.#links.get(warm);
    const next = second?.up && (first === undefined || first.failed) ? second : first;
    const last = this.#home;
    if (next === last) return;
    this.#home = next;
    this.#credits.revokeAll();
    // Credits cannot be taken back, but a stream can end: the former home is dialled again, as the warm one.
    if (last !== undefined && this.#links.get(last.instance) === last && last.up) {
      this.#retire(last);
      this.#dial(last.instance, last.address);
    }
    this.#options.onHome(next?.instance, next === first ? warm : home);
    this.#grantAll();
  }

  #cameUp(link: BatcherLink): void {
    if (link === this.#home) this.#credits.revokeAll(); // a new stream knows of no credit
    this.#settle(this.#chosen.home, this.#chosen.warm);
    if (link === this.#home) this.#grantAll();
  }

  #wentDown(link: BatcherLink, reason: SpillwayError): void {
    if (this.#leaving) return;
    this.#options.onDown(link.instance, reason);
    if (link !== this.#home) return;
    this.#credits.revokeAll();
    this.#settle(this.#chosen.home, this.#chosen.warm);
  }

  #sentAway(link: BatcherLink): void {
    this.#drained.set(link.instance, this.#options.clock.now() + DRAINED_FOR_MS);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#arrange();
    }, DRAINED_FOR_MS + 10);
    this.#timers.add(timer);
    this.#arrange();
  }

  #retire(link: BatcherLink): void {
    if (this.#links.get(link.instance) === link) this.#links.delete(link.instance);
    if (this.#home === link) {
      this.#home = undefined;
      this.#credits.revokeAll();
    }
    const gone = link.retire(GOODBYE_GRACE_MS).finally(() => this.#retiring.delete(gone));
    this.#retiring.add(gone);
  }

  #grantAll(): void {
    for (const model of this.#credits.models()) this.#grant(model);
  }

  #grant(model: string): void {
    const home = this.#home;
    if (home === undefined || !home.up || this.#leaving) return;
    const batches = this.#credits.take(model);
    if (batches > 0 && !home.grant(model, batches)) this.#credits.untake(model, batches);
  }

  /** Says Goodbye to all, finishes what is held, hangs up. @returns Whether that was done within `timeoutMs`. */
  async drain(timeoutMs: number): Promise<boolean> {
    this.#leaving = true;
    this.#home = undefined;
    for (const link of this.#links.values()) this.#retire(link);
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), timeoutMs);
    const all = Promise.all([...this.#retiring]).then(() => true);
    const done = await Promise.race([all, late.promise]);
    clearTimeout(timer);
    return done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving = true;
    this.#batchers.stop();
    this.#workers.stop();
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([...this.#links.values()].map((link) => link[Symbol.asyncDispose]()));
  }
}
