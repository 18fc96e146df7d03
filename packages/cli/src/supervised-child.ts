import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, monotonicClock } from '@spillway/lifecycle/clock';
import { BackOff } from './back-off.ts';
import { openLog, sizeOf, tailOf } from './log-file.ts';
import { type Probe, probe } from './probe.ts';

export type ChildSpec = {
  /** Instance, as in `gateway-1`. */
  name: string;
  service: string;
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
  ports: Record<string, number>;
  ready: Probe;
  logPath: string;
  /** Children of the lowest stage are drained first; those of one stage together. */
  drainStage: number;
};

/** `waiting` is the pause before a restart; `stopped` is final. */
export type ChildState = 'starting' | 'ready' | 'waiting' | 'stopping' | 'stopped';

export type ChildEvent =
  | { kind: 'spawned'; pid: number }
  | { kind: 'ready'; afterMs: number }
  | { kind: 'ended'; pid: number; how: string; exitCode: number | null; restartInMs: number | undefined };

const POLL_MS = 40;
const errorCode = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

/** One program that runs until it is stopped: started again after every crash, with back-off. */
export class SupervisedChild {
  readonly spec: ChildSpec;
  readonly #onEvent: (child: SupervisedChild, event: ChildEvent) => void;
  readonly #clock: Clock;
  readonly #backOff = new BackOff();
  #state: ChildState = 'stopped';
  #process: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #restartTimer: NodeJS.Timeout | undefined;
  #spawnedAtMs = 0;
  #readyAtMs: number | undefined;
  #restarts = 0;
  #waitingFor = '';
  #logStart = 0;

  constructor(
    spec: ChildSpec,
    onEvent: (child: SupervisedChild, event: ChildEvent) => void,
    clock: Clock = monotonicClock,
  ) {
    this.spec = spec;
    this.#onEvent = onEvent;
    this.#clock = clock;
  }

  get state(): ChildState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** What the child itself said that it lacks, while it is not ready. */
  get waitingFor(): string {
    return this.#waitingFor;
  }

  /** The last lines that this life of the child, or the last one, has written. */
  lastLines(count: number): string[] {
    return tailOf(this.spec.logPath, count, this.#logStart);
  }

  start(): void {
    this.#state = 'starting';
    this.#readyAtMs = undefined;
    this.#waitingFor = '';
    this.#spawnedAtMs = this.#clock.now();
    const { command, args, env, logPath } = this.spec;
    const log = openLog(logPath);
    this.#logStart = sizeOf(logPath);
    // Its own process group: Ctrl-C reaches only the launcher, which keeps the order of the drain; and what the child
    // started itself is ended with it.
    const child = spawn(command, args, { env, detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#process = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#ended(child, code, signal ?? `exit code ${code}`);
        resolve();
      });
      child.once('error', (error) => {
        if (child.pid === undefined) this.#ended(child, null, `${errorCode(error)}: cannot run ${command}`);
        resolve();
      });
    });
    if (child.pid === undefined) return;
    this.#onEvent(this, { kind: 'spawned', pid: child.pid });
    void this.#watchReady(child);
  }

  /** SIGTERM, then SIGKILL for the whole group after `graceMs`. Resolves when it has ended; never restarts it. */
  async stop(graceMs: number): Promise<'drained' | 'killed'> {
    clearTimeout(this.#restartTimer);
    if (!this.#isRunning()) {
      this.#state = 'stopped';
      return 'drained';
    }
    this.#state = 'stopping';
    this.#signal('SIGCONT', false); // a paused child could not obey
    this.#signal('SIGTERM', false);
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      this.#signal('SIGKILL', true);
    }, graceMs);
    await this.#exited;
    clearTimeout(timer);
    return killed ? 'killed' : 'drained';
  }

  /** Ends the whole group at once, without a drain. */
  kill(): void {
    clearTimeout(this.#restartTimer);
    this.#state = this.#isRunning() ? 'stopping' : 'stopped';
    this.#signal('SIGKILL', true);
  }

  #isRunning(): boolean {
    const child = this.#process;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  #signal(signal: NodeJS.Signals, wholeGroup: boolean): void {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    try {
      process.kill(wholeGroup ? -pid : pid, signal);
    } catch (error) {
      if (errorCode(error) !== 'ESRCH') throw error; // already gone
    }
  }

  async #watchReady(child: ChildProcess): Promise<void> {
    while (this.#process === child && this.#state === 'starting') {
      const answer = await probe(this.spec.ready);
      if (this.#process !== child || this.#state !== 'starting') return;
      if (answer.ready) {
        this.#state = 'ready';
        this.#readyAtMs = this.#clock.now();
        this.#onEvent(this, { kind: 'ready', afterMs: this.#readyAtMs - this.#spawnedAtMs });
        return;
      }
      this.#waitingFor = answer.waitingFor;
      await delay(POLL_MS);
    }
  }

  #ended(child: ChildProcess, exitCode: number | null, how: string): void {
    if (this.#process !== child) return;
    this.#signal('SIGKILL', true); // what it had started itself
    this.#process = undefined;
    const pid = child.pid ?? 0;
    if (this.#state === 'stopping') {
      this.#state = 'stopped';
      this.#onEvent(this, { kind: 'ended', pid, how, exitCode, restartInMs: undefined });
      return;
    }
    const healthyMs = this.#readyAtMs === undefined ? 0 : this.#clock.now() - this.#readyAtMs;
    const restartInMs = this.#backOff.afterCrash(healthyMs);
    this.#state = 'waiting';
    this.#restarts += 1;
    this.#restartTimer = setTimeout(() => this.start(), restartInMs);
    this.#onEvent(this, { kind: 'ended', pid, how, exitCode, restartInMs });
  }
}
