import { seededRandom } from '@spillway/testing/seeded-random';

/** Choices that depend on a seed alone. */
export class Choices {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** A whole number from 0 to `below` − 1. */
  below(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** True once in so many times. */
  once(inTimes: number): boolean {
    return this.below(inTimes) === 0;
  }

  of<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** A copy with some bytes changed, lost, repeated, or cut off. */
  damaged(bytes: Buffer): Buffer {
    let damaged = Buffer.from(bytes);
    for (let left = 1 + this.below(4); left > 0 && damaged.length > 0; left -= 1) {
      const at = this.below(damaged.length);
      const kind = this.below(5);
      if (kind === 0) damaged[at] = this.below(256);
      else if (kind === 1) damaged = damaged.subarray(0, at);
      else if (kind === 2) damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + 1 + this.below(8))]);
      else if (kind === 3)
        damaged = Buffer.concat([damaged.subarray(0, at), this.bytes(1 + this.below(8)), damaged.subarray(at)]);
      else damaged = Buffer.concat([damaged, damaged.subarray(at)]);
    }
    return damaged;
  }
}
