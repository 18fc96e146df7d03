import { type Attempt, expire, type RunFacts, refuse, type Service } from '../chain/attempt.ts';
import { Instance, type SimBatch } from '../chain/instance.ts';
import { rowRate, type World } from '../chain/spec.ts';
import { bentoml } from './bentoml.ts';
import { codel } from './codel.ts';
import { fifo } from './fifo.ts';
import type { QueuePolicy, QueueSetting } from './queue-policy.ts';
import { staticLimit } from './static-limit.ts';
import { triton } from './triton.ts';

export const BASELINES = { fifo, static: staticLimit, codel, triton, bentoml } as const;
export type Baseline = keyof typeof BASELINES;

/** One queue in front of all instances, with another rule: what the mesh is compared with. Serves one model. */
export class BaselineServer implements Service {
  readonly facts: RunFacts;
  readonly instances: Instance[];
  readonly #world: World;
  readonly #queue: QueuePolicy;
  readonly #busy: boolean[];
  #retryAtMs = Number.POSITIVE_INFINITY;

  constructor(world: World, facts: RunFacts, baseline: Baseline) {
    const { spec } = world;
    const model = spec.models[0];
    if (model === undefined || spec.models.length !== 1) throw new Error('a baseline serves exactly one model');
    const setting: QueueSetting = {
      maxRows: model.maxRows,
      deadlineMs: model.deadlineMs,
      instances: spec.instances,
      rowsPerMs: rowRate(model) * spec.instances,
    };
    this.#world = world;
    this.facts = facts;
    this.#queue = BASELINES[baseline](setting);
    this.instances = Array.from(
      { length: spec.instances },
      (_, n) => new Instance(world, facts, `instance ${n}`, spec.hopMs * 2),
    );
    this.#busy = this.instances.map(() => false);
  }

  submit(attempt: Attempt): void {
    const { sim, spec } = this.#world;
    sim.after(2 * spec.hopMs, this.#enqueue, attempt);
    sim.at(attempt.deadlineMs, expire, attempt);
  }

  readonly #enqueue = (attempt: Attempt): void => {
    if (!this.#queue.push(attempt, this.#world.sim.now())) {
      this.#refuse(attempt, 'queue_bound');
      return;
    }
    attempt.admitted = true;
    this.#dispatch();
  };

  #refuse(attempt: Attempt, reason: string): void {
    const { sim, spec } = this.#world;
    sim.after(2 * spec.hopMs, (refused: Attempt) => refuse(refused, reason, 0), attempt);
  }

  #dispatch(): void {
    const { sim, spec } = this.#world;
    for (let n = 0; n < this.instances.length; n += 1) {
      if (this.#busy[n] || this.instances[n]?.alive !== true) continue;
      const nowMs = sim.now();
      const { batch, dropped, retryInMs } = this.#queue.take(nowMs);
      for (const attempt of dropped) this.#refuse(attempt, 'expired');
      if (batch.length === 0) {
        if (retryInMs < Number.POSITIVE_INFINITY && nowMs + retryInMs < this.#retryAtMs) {
          this.#retryAtMs = nowMs + retryInMs;
          sim.at(this.#retryAtMs, this.#retry, undefined);
        }
        return;
      }
      this.#busy[n] = true;
      sim.after(spec.hopMs, (sent: SimBatch) => this.instances[n]?.accept(sent), this.#batch(batch, n));
    }
  }

  readonly #retry = (): void => {
    this.#retryAtMs = Number.POSITIVE_INFINITY;
    this.#dispatch();
  };

  #batch(attempts: Attempt[], instance: number): SimBatch {
    const { sim, spec } = this.#world;
    const [first] = attempts as [Attempt];
    return {
      model: first.model,
      variant: '',
      rank: first.rank,
      attempts,
      rows: attempts.reduce((sum, { rows }) => sum + rows, 0),
      budgetsMs: attempts.map(() => Number.POSITIVE_INFINITY), // such a server does not know deadlines
      arrivedAtMs: 0,
      ended: ({ rows }, runMs) => {
        sim.after(
          spec.hopMs,
          () => {
            this.#queue.ended(rows, runMs, sim.now());
            this.#busy[instance] = false;
            this.#dispatch();
          },
          undefined,
        );
      },
    };
  }
}
