import { type LoadState, loadStateCodec } from '@spillway/contracts/messages';
import type { World } from './spec.ts';

type Sides = Pick<LoadState, 'batcher' | 'gateway'>;

/** Whoever publishes its state. */
export type LoadSource = {
  name: string;
  epoch: () => number;
  level: (model: string) => number;
  models: () => Iterable<string>;
  /** Undefined: says nothing now. */
  load: (model: string) => Sides | undefined;
};

export type LoadListener = (model: string, state: LoadState, transitMs: number) => void;

const PERIOD_MS = 50;

/** State on core NATS: 20 a second of each source, in random phase, as the bytes that cross the wire. */
export class LoadBus {
  readonly #world: World;
  readonly #listeners: LoadListener[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  listen(listener: LoadListener): void {
    this.#listeners.push(listener);
  }

  source({ name, epoch, level, models, load }: LoadSource): void {
    const { sim, spec, draw } = this.#world;
    const random = draw(`load ${name}`);
    const { believed } = spec;
    let seq = 0;
    sim.every(PERIOD_MS, PERIOD_MS * random(), () => {
      seq += 1;
      for (const model of models()) {
        const sides = load(model);
        if (sides === undefined) continue;
        if (sides.batcher && believed.capacity !== 1) {
          sides.batcher = { ...sides.batcher, capacity: sides.batcher.capacity * believed.capacity };
          sides.batcher.capacityRaw *= believed.capacity;
        }
        const facts = { instance: name, epoch: epoch(), seq, sentMs: sim.now(), level: level(model) };
        this.#publish(model, loadStateCodec.encode({ ...facts, ...sides }), random);
      }
      return undefined;
    });
  }

  #publish(model: string, bytes: Uint8Array, random: () => number): void {
    const { sim, spec } = this.#world;
    const nowMs = sim.now();
    if (spec.silent !== undefined && nowMs >= spec.silent.fromMs && nowMs < spec.silent.toMs) return;
    const state = loadStateCodec.decode(bytes);
    const transitMs = spec.stateDelayMs + spec.jitterMs * random();
    sim.after(
      2 * spec.hopMs + transitMs,
      () => {
        for (const listener of this.#listeners) listener(model, state, transitMs);
      },
      undefined,
    );
  }
}
