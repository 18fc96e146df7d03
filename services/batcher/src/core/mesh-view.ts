import type { LoadState } from '@spillway/contracts/messages';

/** A busy gateway speaks 20 times a second: what is older says nothing about now. */
const REFUSING_FOR_MS = 250;
/** An idle instance speaks once a second. */
const HEARD_FOR_MS = 1_500;
const FORGOTTEN_AFTER_MS = 60_000;

/** A smaller part than this of what is offered is refused now and then, whatever the load. */
const LEAST_REFUSED_SHARE = 0.02;
/** Reported rates are moving means: one that falls this fast is of refusals that are over. */
const FADING = 0.75;

type Heard = {
  epoch: number;
  seq: number;
  atMs: number;
  level: number;
  refuses: boolean;
  /** Of a gateway: all classes together. */
  offered: number;
  admitted: number;
  refused: number;
  /** Of a batcher. */
  capacity: number;
};

/** What the others say of one model: gateways, what is offered and whether they refuse; batchers, what they can run; brown-out levels. */
export class MeshView {
  readonly #heard = new Map<string, Heard>();

  /** A message that is older than one that came before is ignored. */
  hear({ instance, epoch, seq, level, gateway, batcher }: LoadState, nowMs: number): void {
    const last = this.#heard.get(instance);
    if (last !== undefined && (epoch < last.epoch || (epoch === last.epoch && seq <= last.seq))) return;
    let [offered, admitted, refused] = [0, 0, 0];
    for (const rates of gateway?.rates ?? []) {
      offered += rates.offered;
      admitted += rates.admitted;
      refused += rates.refused;
    }
    const fades = last?.epoch === epoch && refused < FADING * last.refused;
    const refuses = refused > LEAST_REFUSED_SHARE * offered && !fades;
    const capacity = batcher?.capacity ?? 0;
    this.#heard.set(instance, { epoch, seq, atMs: nowMs, level, refuses, offered, admitted, refused, capacity });
  }

  /** Some gateway cannot let everything in. */
  refusing(nowMs: number): boolean {
    for (const { refuses, atMs } of this.#heard.values()) if (refuses && nowMs - atMs < REFUSING_FOR_MS) return true;
    return false;
  }

  /** What callers want, in the unit of capacity. */
  offered(nowMs: number): number {
    let sum = 0;
    for (const { offered, atMs } of this.#heard.values()) if (nowMs - atMs < HEARD_FOR_MS) sum += offered;
    return sum;
  }

  /** What gateways let in. */
  admitted(nowMs: number): number {
    let sum = 0;
    for (const { admitted, atMs } of this.#heard.values()) if (nowMs - atMs < HEARD_FOR_MS) sum += admitted;
    return sum;
  }

  /** Highest brown-out level of those who are heard. */
  level(nowMs: number): number {
    let highest = 0;
    for (const { level, atMs } of this.#heard.values()) {
      if (level > highest && nowMs - atMs < HEARD_FOR_MS) highest = level;
    }
    return highest;
  }

  /** What the other batchers can run. */
  capacityElsewhere(nowMs: number): number {
    let sum = 0;
    for (const { capacity, atMs } of this.#heard.values()) if (nowMs - atMs < HEARD_FOR_MS) sum += capacity;
    return sum;
  }

  prune(nowMs: number): void {
    for (const [instance, { atMs }] of this.#heard) {
      if (nowMs - atMs > FORGOTTEN_AFTER_MS) this.#heard.delete(instance);
    }
  }
}
