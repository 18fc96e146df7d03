import { seededRandom } from '@spillway/testing/seeded-random';
import type { Admission } from '../../../src/core/admission/admission.ts';
import type { Candidate } from '../../../src/core/admission/types.ts';
import { batcherLoad, offer, START_MS, setUp, stateOf } from './fixtures.ts';

const TICK_MS = 50;

/** A Poisson stream of requests; `load` in instances kept busy. */
export type Stream = { load: number; gateway: number; over: Partial<Candidate> };
export type Count = { offered: number; admitted: number };

/**
 * Gateways in front of a fluid: work of each class waits in one amount, leaves by strict priority with a floor for bulk, and is
 * told every 50 ms. Enough to see what admission admits; the simulator has the rest.
 */
export class TinyMesh {
  nowMs = START_MS;
  readonly gateways: Admission[];
  readonly queues = [0, 0, 0];
  served = 0;
  readonly #capacity: number;
  readonly #random: () => number;
  #epochSeq = 0;

  constructor(options: { gateways: number; capacity?: number; seed: number; setUp?: Parameters<typeof setUp>[0] }) {
    this.#capacity = options.capacity ?? 4;
    this.#random = seededRandom(options.seed);
    this.gateways = Array.from({ length: options.gateways }, (_, n) =>
      setUp({ ...options.setUp, instance: `g${n}`, seed: options.seed + n }),
    );
  }

  /** Runs the streams for some time. @returns what became of each. */
  run(streams: readonly Stream[], forMs: number): Count[] {
    const counts = streams.map(() => ({ offered: 0, admitted: 0 }));
    const due = streams.map(({ load }) => this.nowMs + this.#gap(load));
    const endMs = this.nowMs + forMs;
    for (; this.nowMs < endMs; this.nowMs += 1) {
      streams.forEach(({ load, gateway, over }, i) => {
        for (; due[i]! <= this.nowMs; due[i]! += this.#gap(load)) {
          const decision = offer(this.gateways[gateway]!, this.nowMs, over);
          counts[i]!.offered += 1;
          if (decision.rung === 'refused') continue;
          counts[i]!.admitted += 1;
          this.queues[decision.rank]! += decision.costIms;
        }
      });
      this.#serve();
      if (this.nowMs % TICK_MS === 0) this.#tick();
    }
    return counts;
  }

  #gap(load: number): number {
    return (-Math.log(1 - this.#random()) * 0.625) / load;
  }

  #serve(): void {
    let left = this.#capacity;
    const floor = Math.min(this.queues[2]!, 0.03 * left);
    this.queues[2]! -= floor;
    left -= floor;
    this.served += floor;
    for (let rank = 0; rank < 3; rank += 1) {
      const work = Math.min(left, this.queues[rank]!);
      this.queues[rank]! -= work;
      this.served += work;
      left -= work;
    }
  }

  #tick(): void {
    this.#epochSeq += 1;
    const told = { epoch: 2, seq: this.#epochSeq, sentMs: this.nowMs };
    const backlog = this.queues.map((pending) => ({ pending, pendingAgeMs: 0, held: 0, rateOut: 0 }));
    const capacity = this.#capacity;
    const batcher = stateOf({ batcher: batcherLoad({ backlog, capacity, capacityRaw: capacity }) }, told);
    for (const gateway of this.gateways) {
      gateway.onLoad('m', batcher, 0, this.nowMs);
      gateway.tick(this.nowMs);
    }
    for (const [from, sender] of this.gateways.entries()) {
      for (const topic of sender.models()) {
        const state = stateOf({ gateway: sender.loadOf(topic, this.nowMs) }, { ...told, instance: `g${from}` });
        for (const gateway of this.gateways) gateway.onLoad(topic, state, 0, this.nowMs);
      }
    }
  }
}
