import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError } from './context.ts';
import { Guardian } from './guardian.ts';
import { rotateLogs } from './log-file.ts';
import { formatLine } from './log-line.ts';
import type { ServiceState } from './state-file.ts';
import { type ChildEvent, type ChildSpec, SupervisedChild } from './supervised-child.ts';

/** Longer than a service's own `…_DRAIN_TIMEOUT_MS` (10 s), so that it ends by itself. */
const DRAIN_GRACE_MS = 12_000;
/** Loading a model and warming it at every batch size is the slowest part of a start. */
const READY_TIMEOUT_MS = 120_000;
/** A child that crashed so often before it was ever ready will not come up by waiting. */
const CRASHES_AT_START = 5;
/** sysexits' EX_CONFIG: every fault of the configuration is already in the log, and no restart mends it. */
const EXIT_CONFIG = 78;
const REMIND_EVERY_MS = 5_000;

export type SuperviseHooks = {
  /** One line on what happens, for people. */
  say: (line: string) => void;
  /** Something of `services()` has changed. */
  changed: () => void;
  /** A child runs and is ready, the first time (`restart` false) or again. */
  ready?: (name: string, restart: boolean) => void;
};

/** The children of one launcher: started together, restarted after a crash, drained in order. */
export class Supervisor {
  readonly #children: SupervisedChild[];
  readonly #hooks: SuperviseHooks;
  readonly #guardian = new Guardian();
  readonly #logs: Disposable;
  readonly #everReady = new Set<string>();
  readonly #givenUp = new Map<string, string>();
  #wake: () => void = () => {};

  constructor(dataDir: string, specs: ChildSpec[], hooks: SuperviseHooks) {
    for (const folder of ['logs', 'nats', 'redis']) mkdirSync(join(dataDir, folder), { recursive: true });
    this.#hooks = hooks;
    this.#children = specs.map((spec) => new SupervisedChild(spec, (child, event) => this.#onEvent(child, event)));
    this.#logs = rotateLogs(() => specs.map(({ logPath }) => logPath));
  }

  /** All at once: services wait for each other by themselves. */
  start(): void {
    for (const child of this.#children) child.start();
  }

  services(): ServiceState[] {
    return this.#children.map((child) => ({
      name: child.spec.service,
      instance: child.spec.name,
      pid: child.pid ?? null,
      state: child.state,
      ports: child.spec.ports,
      restarts: child.restarts,
    }));
  }

  /**
   * Resolves when every child has been ready, or `aborted` says that nobody waits any more.
   * @throws CliError with the end of the log of the child that will not come up.
   */
  async untilReady(aborted: AbortSignal, timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    const sinceMs = performance.now();
    let remindAtMs = sinceMs + REMIND_EVERY_MS;
    while (!aborted.aborted) {
      for (const [name, why] of this.#givenUp) throw this.#startFailure(name, why);
      const missing = this.#children.filter((child) => !this.#everReady.has(child.spec.name));
      if (missing.length === 0) return;
      const nowMs = performance.now();
      const [first] = missing;
      if (first && nowMs - sinceMs > timeoutMs) {
        const why = first.waitingFor === '' ? 'does not answer' : `waits for ${first.waitingFor}`;
        throw this.#startFailure(first.spec.name, `is not ready after ${timeoutMs / 1000} s: it ${why}`);
      }
      if (nowMs > remindAtMs) {
        remindAtMs = nowMs + REMIND_EVERY_MS;
        for (const child of missing) this.#hooks.say(waitingLine(child));
      }
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), delay(250)]);
    }
  }

  /** Gateways first, NATS and Redis last; what does not obey is killed. */
  async drain(graceMs = DRAIN_GRACE_MS): Promise<void> {
    const stages = [...new Set(this.#children.map(({ spec }) => spec.drainStage))].sort((a, b) => a - b);
    // A child that waits for its restart must not come back while the others are drained.
    for (const child of this.#children) if (child.state === 'waiting') void child.stop(0);
    for (const stage of stages) {
      const inStage = this.#children.filter(({ spec }) => spec.drainStage === stage);
      await Promise.all(
        inStage.map(async (child) => {
          if ((await child.stop(graceMs)) === 'killed') {
            this.#hooks.say(`${child.spec.name} did not end within ${graceMs / 1000} s and was killed`);
          }
        }),
      );
      this.#hooks.changed();
    }
    this.#close();
  }

  /** Ends everything at once. */
  kill(): void {
    for (const child of this.#children) child.kill();
    this.#close();
  }

  #close(): void {
    this.#logs[Symbol.dispose]();
    this.#guardian.close();
  }

  #onEvent(child: SupervisedChild, event: ChildEvent): void {
    const { name } = child.spec;
    if (event.kind === 'spawned') this.#guardian.add(event.pid);
    if (event.kind === 'ready') this.#onReady(name, event.afterMs);
    if (event.kind === 'ended') {
      this.#guardian.remove(event.pid);
      if (event.restartInMs !== undefined) this.#onCrash(child, event);
    }
    this.#hooks.changed();
    this.#wake();
  }

  #onReady(name: string, afterMs: number): void {
    const restart = this.#everReady.has(name);
    this.#everReady.add(name);
    this.#hooks.say(`${name} is ready${restart ? ' again' : ''} (${(afterMs / 1000).toFixed(1)} s)`);
    this.#hooks.ready?.(name, restart);
  }

  #onCrash(child: SupervisedChild, event: Extract<ChildEvent, { kind: 'ended' }>): void {
    const { name } = child.spec;
    if (!this.#everReady.has(name) && event.exitCode === EXIT_CONFIG) {
      this.#givenUp.set(name, 'refuses its configuration');
      return;
    }
    this.#hooks.say(`${name} ended (${event.how}); starting it again in ${event.restartInMs} ms`);
    if (this.#everReady.has(name)) return;
    if (child.restarts >= CRASHES_AT_START) this.#givenUp.set(name, `ended ${child.restarts} times (${event.how})`);
  }

  #startFailure(name: string, why: string): CliError {
    const child = this.#children.find(({ spec }) => spec.name === name);
    const lines = (child?.lastLines(12) ?? []).map(formatLine);
    const shown = lines.map((line) => `  | ${line.length > 400 ? `${line.slice(0, 400)}…` : line}`);
    const path = child?.spec.logPath ?? '';
    return new CliError([`${name} ${why}; the end of its log:`, ...shown].join('\n'), [`Whole log: ${path}`]);
  }
}

function waitingLine({ spec, waitingFor, state }: SupervisedChild): string {
  if (state === 'waiting') return `${spec.name} will be started again`;
  return `${spec.name} is not ready yet${waitingFor === '' ? '' : `: it waits for ${waitingFor}`}`;
}
