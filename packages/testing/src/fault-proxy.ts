import { connect, createServer, type Socket } from 'node:net';
import { FaultLane, type LaneFaults } from './fault-lane.ts';
import { freePort } from './free-port.ts';
import { seededRandom } from './seeded-random.ts';

export type Faults = {
  /** From the dialling side to the target. */
  up?: LaneFaults;
  /** From the target back. */
  down?: LaneFaults;
  /** `closed`: nobody listens; `reset`: accepted, then reset; `silent`: accepted, and nothing ever happens (a hung peer). */
  accept?: 'closed' | 'reset' | 'silent';
};

/** Made for each connection: takes what the target sends, and passes on what is to arrive, when it is to. */
export type Filter = (pass: (bytes: Buffer) => void) => (chunk: Buffer) => void;

/** `filter` stands in place of the faults on the way back. */
export type FaultProxyOptions = { targetPort: number; seed?: number; port?: number; filter?: Filter };

/** A TCP proxy on loopback that damages what passes. Repeatable: the same seed and traffic make the same damage. */
export class FaultProxy implements AsyncDisposable {
  readonly port: number;
  readonly #targetPort: number;
  readonly #random: () => number;
  readonly #filter: Filter | undefined;
  readonly #pairs = new Set<{ near: Socket; far: Socket | undefined }>();
  #server = createServer();
  #faults: Faults = {};
  #dropped = 0;

  private constructor(port: number, options: FaultProxyOptions) {
    this.port = port;
    this.#targetPort = options.targetPort;
    this.#random = seededRandom(options.seed ?? 1);
    this.#filter = options.filter;
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options.port ?? (await freePort()), options);
    await proxy.#listen();
    return proxy;
  }

  /** Open connections. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Bytes that `drop` has swallowed so far, on all connections and both ways. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Replaces all faults, for open connections too. `closed` also ends those that are open. */
  async set(faults: Faults): Promise<void> {
    const wasClosed = this.#faults.accept === 'closed';
    this.#faults = faults;
    if (faults.accept === 'closed' && !wasClosed) {
      this.reset();
      await this.#unlisten();
    } else if (wasClosed && faults.accept !== 'closed') await this.#listen();
  }

  async heal(): Promise<void> {
    await this.set({});
  }

  /** Resets every open connection (RST, not an orderly end). */
  reset(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far?.resetAndDestroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reset();
    await this.#unlisten();
  }

  async #listen(): Promise<void> {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near));
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  async #unlisten(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    near.on('error', () => undefined); // its close follows
    if (this.#faults.accept === 'reset') {
      near.resetAndDestroy();
      return;
    }
    const pair: { near: Socket; far: Socket | undefined } = { near, far: undefined };
    this.#pairs.add(pair);
    near.once('close', () => this.#pairs.delete(pair));
    if (this.#faults.accept === 'silent') {
      near.pause();
      return;
    }
    pair.far = this.#dial(near);
  }

  #dial(near: Socket): Socket {
    const far = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const cut = (): void => {
      near.resetAndDestroy();
      far.resetAndDestroy();
    };
    far.once('error', cut); // the target refused or reset: so does the proxy
    near.once('error', () => far.resetAndDestroy());
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
    const dropped = (bytes: number): void => {
      this.#dropped += bytes;
    };
    new FaultLane(near, far, () => this.#faults.up ?? {}, this.#random, cut, dropped);
    if (this.#filter === undefined) new FaultLane(far, near, () => this.#faults.down ?? {}, this.#random, cut, dropped);
    else {
      far.on(
        'data',
        this.#filter((bytes) => void (near.destroyed || near.write(bytes))),
      );
      far.on('end', () => near.end());
    }
    return far;
  }
}
