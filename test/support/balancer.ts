import type { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { answersOk } from '@spillway/testing/process';
import { type CallOptions, call, type HttpReply, keepAliveAgent } from './infer.ts';

export type Backend = { http: string; health: string };

/**
 * What stands before two gateways in production: sends to those whose readiness is on, in turn, and tries another one only
 * when the connection was refused, that is, when nothing had been sent.
 */
export class Balancer implements AsyncDisposable {
  readonly #backends: readonly Backend[];
  readonly #agent: Agent = keepAliveAgent();
  readonly #ready = new Set<Backend>();
  readonly #watching: Promise<void>;
  #stopped = false;
  #turn = 0;

  private constructor(backends: readonly Backend[]) {
    this.#backends = backends;
    this.#watching = this.#watch();
  }

  static async start(backends: readonly Backend[]): Promise<Balancer> {
    const balancer = new Balancer(backends);
    await balancer.#look();
    return balancer;
  }

  async call(options: Omit<CallOptions, 'address' | 'agent'>): Promise<HttpReply> {
    const order = this.#order();
    let reply: HttpReply | undefined;
    for (const backend of order) {
      reply = await call({ ...options, address: backend.http, agent: this.#agent });
      if (reply.error !== 'ECONNREFUSED') return reply;
    }
    return reply as HttpReply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#watching;
    this.#agent.destroy();
  }

  /** Ready ones first, beginning with another one each time; the others as a last resort. */
  #order(): Backend[] {
    this.#turn += 1;
    const from = this.#turn % this.#backends.length;
    const turned = [...this.#backends.slice(from), ...this.#backends.slice(0, from)];
    return [...turned.filter((b) => this.#ready.has(b)), ...turned.filter((b) => !this.#ready.has(b))];
  }

  async #look(): Promise<void> {
    for (const backend of this.#backends) {
      if (await answersOk(`http://${backend.health}/readyz`)) this.#ready.add(backend);
      else this.#ready.delete(backend);
    }
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      await this.#look();
      await delay(40);
    }
  }
}
