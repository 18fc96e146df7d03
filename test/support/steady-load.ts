import { setTimeout as delay } from 'node:timers/promises';
import { casesOf, differenceOf, type ModelCase, oipRequest } from './cases.ts';
import type { CallOptions, HttpReply } from './infer.ts';
import { Starvation } from './starvation.ts';

/** One line of the client's history; times in ms of this process' clock. */
export type Operation = {
  model: string;
  startMs: number;
  endMs: number;
  budgetMs: number;
  /** HTTP status; 0: the connection broke or nothing came. */
  status: number;
  /** The typed error (`spillway-error`), or the system's for a broken connection; '' if answered. */
  error: string;
  reason: string;
  /** What is wrong with the answer's numbers; an answer that says it is degraded may have others. */
  wrong: string | undefined;
  /** `spillway-degraded` of the answer. */
  degraded: string;
  /** What the test machine added meanwhile: lateness of this process' own timers, and the mesh's processes waiting for a core. */
  machineMs: number;
  /** Too much else ran on the machine, then or shortly before, for this operation to say how fast the mesh is. */
  crowded: boolean;
};

export const isGood = (op: Operation): boolean => op.status === 200 && op.wrong === undefined;

type Caller = { call(options: Omit<CallOptions, 'address' | 'agent'>): Promise<HttpReply> };

export type SteadyLoadOptions = {
  caller: Caller;
  perSecond: number;
  /** Taken in turn. */
  models: readonly string[];
  budgetMs: number;
  key: string;
  /** Processes whose waiting for a core is not the mesh's fault: the gateways, which own the deadlines, or all on the path. */
  pids: () => readonly number[];
};

type Prepared = { model: string; body: string; wanted: ModelCase };

const TICK_MS = 5;
const LAGS_KEPT_MS = 30_000;
const PATIENCE_MS = 30_000; // beyond the budget: after it the client gives up and the operation counts as hanging
/** A machine that cannot carry the rate would have more and more of them under way, until nothing else gets its turn. */
const MOST_OPEN = 150;
/** What a crowded machine held up is predicted from, and refused for, so much later. */
const AFTERMATH_MS = 2_000;
/** Timers of this process that were so late since then, all together, mean that it was away. */
const AWAY_MS = 500;

/**
 * An open loop: requests begin at their times, whatever became of those before, up to a bound (a closed loop would slow down with
 * the mesh and hide what it does to callers). Answers are compared with those of plain ONNX Runtime.
 */
export class SteadyLoad implements AsyncDisposable {
  readonly history: Operation[] = [];
  readonly #options: SteadyLoadOptions;
  readonly #prepared: Prepared[];
  /** By number, from 0. */
  readonly #open = new Map<number, Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  readonly #starvation: Starvation;
  #lags: { atMs: number; lagMs: number }[] = [];
  #lastTickMs = performance.now();
  #sent = 0;
  #nextMs = performance.now();
  #stopped = false;

  constructor(options: SteadyLoadOptions) {
    this.#options = options;
    this.#starvation = new Starvation(options.pids);
    const all = options.models.map((model) =>
      casesOf(model).map((wanted) => ({ model, wanted, body: JSON.stringify(oipRequest(wanted)) })),
    );
    const longest = Math.max(...all.map((cases) => cases.length));
    this.#prepared = Array.from({ length: longest }, (_, n) => all.map((cases) => cases[n % cases.length]!)).flat();
    this.#timer = setInterval(() => this.#send(), TICK_MS);
  }

  get sent(): number {
    return this.#sent;
  }

  /** Resolves when the next so many requests have begun and ended, whatever became of them. */
  async untilEnded(count: number): Promise<void> {
    const end = this.#sent + count;
    while (this.#sent < end || [...this.#open].some(([n]) => n < end)) await delay(TICK_MS);
  }

  /** No further requests; resolves with the whole history when every one has ended. */
  async stop(): Promise<Operation[]> {
    this.#stopped = true;
    await Promise.all(this.#open.values());
    clearInterval(this.#timer); // until now it has told how late timers are
    return this.history;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #send(): void {
    this.#noteLag();
    if (this.#stopped) return;
    const nowMs = performance.now();
    for (; this.#nextMs <= nowMs; this.#nextMs += 1_000 / this.#options.perSecond) {
      if (this.#open.size >= MOST_OPEN) {
        this.#nextMs = nowMs;
        return;
      }
      const n = this.#sent;
      this.#sent += 1;
      const one = this.#run(this.#prepared[n % this.#prepared.length] as Prepared);
      this.#open.set(n, one);
      void one.finally(() => this.#open.delete(n));
    }
  }

  #noteLag(): void {
    const nowMs = performance.now();
    const lagMs = nowMs - this.#lastTickMs - TICK_MS;
    this.#starvation.sample(nowMs);
    this.#lastTickMs = nowMs;
    if (lagMs > TICK_MS) this.#lags.push({ atMs: nowMs, lagMs });
    while ((this.#lags[0]?.atMs ?? nowMs) < nowMs - LAGS_KEPT_MS) this.#lags.shift();
  }

  #lagSince(startMs: number): number {
    this.#noteLag();
    // All of them: a request waits for this process when it is sent, when it is answered, and for each part between.
    return this.#lags.reduce((sum, { atMs, lagMs }) => (atMs >= startMs ? sum + lagMs : sum), 0);
  }

  async #run({ model, body, wanted }: Prepared): Promise<void> {
    const { budgetMs, key, caller } = this.#options;
    const startMs = performance.now();
    const reply = await caller.call({
      path: `/v2/models/${model}/infer`,
      headers: { authorization: `Bearer ${key}`, 'spillway-timeout-ms': String(budgetMs) },
      body,
      timeoutMs: budgetMs + PATIENCE_MS,
    });
    const endMs = performance.now();
    const outputs = reply.status === 200 ? JSON.parse(reply.text).outputs : undefined;
    const degraded = String(reply.headers['spillway-degraded'] ?? '');
    const machineMs = this.#lagSince(startMs) + this.#starvation.sinceMs(startMs);
    const fromMs = startMs - AFTERMATH_MS;
    this.history.push({
      model,
      startMs,
      endMs,
      budgetMs,
      status: reply.status,
      error: reply.status === 200 ? '' : String(reply.headers['spillway-error'] ?? reply.error),
      reason: String(reply.headers['spillway-reason'] ?? ''),
      wrong: reply.status === 200 && degraded === '' ? differenceOf(wanted, outputs) : undefined,
      degraded,
      machineMs,
      crowded: this.#starvation.isCrowdedSince(fromMs) || this.#lagSince(fromMs) > AWAY_MS,
    });
  }
}

/** Failures by model, status, error and reason, for messages of assertions. */
export function tell(operations: readonly Operation[]): string {
  const counts = new Map<string, number>();
  for (const op of operations) {
    const what = `${op.model}: ${op.status} ${op.error} ${op.reason} ${op.wrong ?? ''}`.trim();
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, n]) => `${n} × ${what}`).join('; ');
}
