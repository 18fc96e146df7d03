import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@spillway/lifecycle/clock';

/** Between two looks. What the kernel holds is read between them, however late the process is. */
const LOOK_MS = 40;
/** So many looks in a row without a request that only its caller could repeat: callers have gone elsewhere. Probes go on. */
const QUIET_LOOKS = 5;

/**
 * The end of traffic on keep-alive connections. A server that closes a connection while a request is under way to it resets that
 * request, which its caller may not be able to repeat. So every answer of a drain is the last of its connection, and the others
 * are closed when nothing comes any more.
 */
export class QuietTraffic {
  readonly #clock: Clock;
  #draining = false;
  #came = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For every request, before it is answered. */
  began(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'POST') this.#came += 1;
    if (this.#draining) response.shouldKeepAlive = false;
  }

  /** Resolves when no request has come for about 200 ms, or after `atMostMs`. */
  async ends(atMostMs: number): Promise<void> {
    this.#draining = true;
    const endMs = this.#clock.now() + atMostMs;
    let quiet = 0;
    while (quiet < QUIET_LOOKS && this.#clock.now() < endMs) {
      const before = this.#came;
      await delay(LOOK_MS);
      quiet = this.#came === before ? quiet + 1 : 0;
    }
  }
}
