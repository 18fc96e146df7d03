import { setTimeout as delay } from 'node:timers/promises';
import { CRASH_POINTS, type CrashPoint } from '@spillway/lifecycle/crash-point';
import type { Mesh, MeshInstance, Service } from '@spillway/testing/mesh';

type Mortal = keyof typeof CRASH_POINTS;
const isMortal = (service: Service): service is Mortal => service in CRASH_POINTS;

/** The environment of an instance that dies at the `nth` crash point of its service, taken in turn; none for a service without any. */
export function doomed(service: Service, nth: number, crashAfter: number): Record<string, string> {
  if (!isMortal(service)) return {};
  const points = CRASH_POINTS[service];
  return { SPILLWAY_CRASH_AT: `${points[nth % points.length]}:${crashAfter}` };
}

/** Between looks whether all are there. */
const BACK_MS = 20;

/** `crashAgain`: a process that has crashed is to crash at the next place too; else it then lives until it is killed. */
export type JobKillerOptions = { seed: number; killEveryMs: number; crashAfter: number; crashAgain: boolean };
/** Counted here: kills from outside by service, and crashes by place. */
export type Deaths = { kills: Record<string, number>; crashes: Partial<Record<CrashPoint, number>> };

/**
 * Kills one process after the other in turn, beginning with the seed's, while all are there, and starts again whatever died. A
 * process that is killed before it came to its crash point has the same one in its next life. The mesh is to be started with the
 * first ones: `doomed(service, index, …)`.
 */
export class JobKiller implements AsyncDisposable {
  readonly #options: JobKillerOptions;
  readonly #deaths: Deaths;
  readonly #killed = new Set<MeshInstance>();
  readonly #down = new Set<MeshInstance>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #calm = Promise.withResolvers<void>();
  readonly #killing: Promise<void>;
  readonly #guards: Promise<void>[];
  #isCalm = false;
  #isOver = false;

  constructor(mesh: Mesh, options: JobKillerOptions, deaths: Deaths) {
    this.#options = options;
    this.#deaths = deaths;
    const mortals = mesh.instances.filter(({ service }) => isMortal(service));
    this.#guards = mortals.map((instance) => this.#guard(instance, mesh.of(instance.service).indexOf(instance)));
    this.#killing = this.#kill(mesh, mortals);
  }

  /** Resolves when nothing is killed from outside any more. Processes that are still to crash do so, once, and come back for good. */
  async calm(): Promise<void> {
    this.#isCalm = true;
    this.#calm.resolve();
    await this.#killing;
  }

  /** At each place some process has died by itself. */
  get crashedEverywhere(): boolean {
    return Object.values(CRASH_POINTS)
      .flat()
      .every((point) => (this.#deaths.crashes[point] ?? 0) > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.calm();
    this.#isOver = true;
    this.#ended.resolve();
    await Promise.all(this.#guards);
  }

  async #kill({ nats }: Mesh, mortals: readonly MeshInstance[]): Promise<void> {
    const { seed, killEveryMs } = this.#options;
    const targets = [...mortals, 'nats-server' as const];
    for (let n = seed; ; n += 1) {
      await Promise.race([delay(killEveryMs), this.#calm.promise]);
      while (this.#down.size > 0) await delay(BACK_MS); // two at a time would be another test
      if (this.#isCalm) return;
      const target = targets[n % targets.length] as (typeof targets)[number];
      if (target === 'nats-server') {
        this.#count('nats-server');
        await nats.kill('SIGKILL');
        await nats.restart();
      } else if (target.running) {
        this.#count(target.service);
        this.#killed.add(target);
        this.#down.add(target);
        await target.kill('SIGKILL');
      }
    }
  }

  #count(name: string): void {
    const { kills } = this.#deaths;
    kills[name] = (kills[name] ?? 0) + 1;
  }

  /** Starts an instance again for as long as it dies. @param first The place of its crash point among those of its service. */
  async #guard(instance: MeshInstance, first: number): Promise<void> {
    const { crashAfter, crashAgain } = this.#options;
    const { service } = instance;
    let nth: number | undefined = first;
    for (;;) {
      await Promise.race([instance.exited, this.#ended.promise]);
      if (this.#isOver) return;
      this.#down.add(instance);
      if (!this.#killed.delete(instance) && nth !== undefined) {
        this.#crashed(service, nth);
        nth = crashAgain ? nth + 1 : undefined;
      }
      const lives = nth === undefined || (this.#isCalm && crashAgain);
      const env = lives ? { SPILLWAY_CRASH_AT: '' } : doomed(service, nth ?? first, crashAfter);
      await instance.restart(env).catch(() => undefined); // it died again before it was ready
      this.#down.delete(instance);
    }
  }

  #crashed(service: Service, nth: number): void {
    if (!isMortal(service)) return;
    const points: readonly CrashPoint[] = CRASH_POINTS[service];
    const point = points[nth % points.length] as CrashPoint;
    const { crashes } = this.#deaths;
    crashes[point] = (crashes[point] ?? 0) + 1;
  }
}
