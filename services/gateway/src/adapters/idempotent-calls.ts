import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { IDEMPOTENCY, type IdempotencyRecord, type JobRecord } from '@spillway/contracts/buckets';
import { jobKey } from '@spillway/contracts/job-messages';
import type { Name } from '@spillway/contracts/names';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import type { JobAddress } from '../core/event-envelope.ts';
import { foundOf, joined, keep, keyConflict } from '../core/idempotency.ts';
import { requestJobId } from '../core/job-id.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { noAnswerWithin, tooManyInFlight } from '../core/refusal.ts';
import type { Answer, InferRequest, Prepared, Settle } from '../core/request.ts';
import type { JobDesk } from './job-desk.ts';

/** Between looks at what another gateway runs. */
const LOOK_MS = 25;
/** Of a model that nobody knows: its request fails at once. */
const UNKNOWN_BUDGET_MS = 5_000;

/** A request that came with an idempotency key. `body`: what was asked, as it came. */
export type KeyedCall = { key: string; body: Uint8Array };
/** Absent `job`: a caller that takes no tickets; it is told of a conflict. */
export type KeyedSettle = Settle & { job?(record: JobRecord): void };

/** `digest`: SHA-256 (hex) of its body, which is not kept. */
type Caller = {
  key: string;
  digest: string;
  request: InferRequest;
  settle: KeyedSettle;
  run?: Run;
  timer?: NodeJS.Timeout;
};
/**
 * What runs here under one key, or waits for another gateway's run until it is `claimed`. The first of its callers gave it its
 * deadline; any of them may leave.
 */
type Run = { digest: string; address: JobAddress; budgetMs: number; callers: Set<Caller>; claimed: boolean };

/** A key is the same request's as a call and as a job. @throws SpillwayError `INVALID_REQUEST`. */
const addressOf = (key: string, { tenant, model }: InferRequest): JobAddress => ({
  tenant: tenant as Name,
  job: requestJobId({ tenant, model, key, unique: '' }),
});

export type IdempotentCallsOptions = {
  bus: Bus;
  clock: Clock;
  /** Compared with the time at which NATS wrote a record, to find those whose gateway has died. */
  epochMs: () => number;
  pipeline: Pick<Pipeline, 'submit' | 'model'>;
  jobs: Pick<JobDesk, 'find'>;
  /** Callers that wait here at a time. */
  maxCallers: number;
};

/**
 * Requests with an idempotency key, each run once: who comes with the same key and body while it runs gets the same answer, at
 * this gateway or another one, and later what is kept of it. A request that failed may be tried again under its key. The run goes on
 * when its caller has left: that caller will ask again.
 */
export class IdempotentCalls {
  readonly #options: IdempotentCallsOptions;
  readonly #records;
  readonly #runs = new Map<string, Run>();
  #callers = 0;

  constructor(options: IdempotentCallsOptions) {
    this.#options = options;
    this.#records = openBucket<IdempotencyRecord>(options.bus, IDEMPOTENCY);
  }

  /** As `Pipeline.submit`: `settle` is called once. @returns What makes this caller leave. */
  submit({ key, body }: KeyedCall, request: InferRequest, settle: KeyedSettle): () => void {
    const caller: Caller = { key, digest: hash('sha256', body, 'hex'), request, settle };
    this.#start(caller);
    return () => void this.#leave(caller);
  }

  /**
   * Whether this request was made before and has its answer, or runs: then a submission finds that.
   * @throws SpillwayError `CONFLICT`: the key is another request's; `INVALID_REQUEST`, `UNAVAILABLE`.
   */
  async isKnown({ key, body }: KeyedCall, request: InferRequest): Promise<boolean> {
    const stored = await this.#records.read(jobKey(addressOf(key, request)));
    if (stored === undefined) return false;
    const ageMs = this.#options.epochMs() - stored.storedAtMs;
    return foundOf(stored.value, hash('sha256', body, 'hex'), ageMs) !== 'free';
  }

  #admit(caller: Caller): void {
    const { clock, pipeline, maxCallers } = this.#options;
    const { key, digest, request } = caller;
    if (this.#callers >= maxCallers) throw tooManyInFlight(maxCallers);
    const address = addressOf(key, request);
    const id = jobKey(address);
    const run = this.#runs.get(id);
    if (run !== undefined && run.digest !== digest) {
      throw keyConflict('idempotency-key: expected the request that it was first used with');
    }
    const record = pipeline.model(request.model);
    const most = record?.maxDeadlineMs ?? UNKNOWN_BUDGET_MS;
    const budgetMs = Math.min(request.budgetMs ?? record?.defaultDeadlineMs ?? UNKNOWN_BUDGET_MS, most);
    this.#callers += 1;
    if (run !== undefined) {
      run.callers.add(caller);
      caller.run = run;
      const leftMs = request.receivedAtMs + budgetMs - clock.now();
      caller.timer = setTimeout(() => {
        if (this.#leave(caller)) caller.settle.failed(noAnswerWithin(budgetMs));
      }, leftMs);
      return;
    }
    const begun: Run = { digest, address, budgetMs, callers: new Set([caller]), claimed: false };
    caller.run = begun;
    this.#runs.set(id, begun);
    this.#begin(begun, caller).catch((thrown: unknown) => this.#fail(begun, caller, SpillwayError.from(thrown)));
  }

  /** False: it has its answer, or has left before. */
  #leave(caller: Caller): boolean {
    if (caller.run?.callers.delete(caller) !== true) return false;
    clearTimeout(caller.timer);
    this.#callers -= 1;
    return true;
  }

  /** @returns Those that still wait; the key is free again for who comes now. */
  #end(run: Run): Caller[] {
    const id = jobKey(run.address);
    if (this.#runs.get(id) !== run) return [];
    this.#runs.delete(id);
    return [...run.callers].filter((caller) => this.#leave(caller));
  }

  async #begin(run: Run, first: Caller): Promise<void> {
    const { jobs, pipeline } = this.#options;
    const { address, digest } = run;
    const { request } = first;
    const finding = jobs.find(address, { digest, model: request.model });
    finding.catch(() => undefined); // looked at once the key is claimed
    const kept = await this.#claim(run, request);
    if (kept !== undefined) {
      for (const { settle } of this.#end(run)) settle.answered(kept);
      return;
    }
    const job = await finding;
    if (job !== undefined) {
      await this.#forget(run);
      for (const { settle } of this.#end(run)) {
        if (settle.job !== undefined) settle.job(job);
        else settle.failed(keyConflict(`idempotency-key: this request is the job "${job.job}"`));
      }
      return;
    }
    pipeline.submit(request, {
      answered: (answer) => void this.#answer(run, first, answer),
      failed: (error) => void this.#fail(run, first, error),
      ...(first.settle.ticket && { ticket: (prepared) => void this.#ticket(run, first, prepared) }),
    });
  }

  /** @returns The answer that it has had. Undefined: it is this gateway's to run. @throws SpillwayError `CONFLICT`, `DEADLINE_EXCEEDED`. */
  async #claim(run: Run, { receivedAtMs }: InferRequest): Promise<Answer | undefined> {
    const { clock, epochMs } = this.#options;
    const { address, digest, budgetMs } = run;
    const id = jobKey(address);
    const claim: IdempotencyRecord = { digest, budgetMs };
    for (;;) {
      run.claimed = await this.#records.create(id, claim);
      const stored = run.claimed ? undefined : await this.#records.read(id);
      if (stored !== undefined) {
        const found = foundOf(stored.value, digest, epochMs() - stored.storedAtMs);
        if (typeof found === 'object') return found.answer;
        run.claimed = found === 'free' && (await this.#records.replace(id, claim, stored.revision));
      }
      if (run.claimed) return undefined;
      if (clock.now() - receivedAtMs >= budgetMs) throw noAnswerWithin(budgetMs);
      await delay(LOOK_MS);
    }
  }

  /** Kept before it is told: else who asks again after a crash would get another one. */
  async #answer(run: Run, first: Caller, answer: Answer): Promise<void> {
    const { address, digest, budgetMs } = run;
    await this.#records.put(jobKey(address), keep({ digest, budgetMs }, answer)).catch(() => undefined); // it is true all the same
    for (const caller of this.#end(run)) caller.settle.answered(caller === first ? answer : joined(answer));
  }

  /** Refusals and failures are not kept: a repetition is to be tried. So are those that came later, if only the first was too late. */
  async #fail(run: Run, first: Caller, error: SpillwayError): Promise<void> {
    await this.#forget(run);
    for (const caller of this.#end(run)) {
      if (caller === first || error.code !== 'DEADLINE_EXCEEDED') caller.settle.failed(error);
      else this.#start(caller);
    }
  }

  async #ticket(run: Run, first: Caller, prepared: Prepared): Promise<void> {
    await this.#forget(run);
    for (const caller of this.#end(run)) {
      if (caller === first) caller.settle.ticket?.(prepared);
      else this.#start(caller); // finds the job, or room to run
    }
  }

  #start(caller: Caller): void {
    try {
      this.#admit(caller);
    } catch (thrown) {
      caller.settle.failed(SpillwayError.from(thrown));
    }
  }

  async #forget({ address, claimed }: Run): Promise<void> {
    if (!claimed) return; // it is another gateway's
    await this.#records.delete(jobKey(address)).catch(() => undefined); // its time will be over
  }
}
