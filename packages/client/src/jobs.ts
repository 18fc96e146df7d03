import { withRetries } from './attempts.ts';
import type { InferResult, Outputs, WaitOptions } from './call-options.ts';
import { CallScope, type Clock } from './call-scope.ts';
import { errorFromObject, SpillwayClientError } from './errors.ts';
import type { HttpDoor } from './http-door.ts';
import { readInferAnswer } from './infer-body.ts';
import type { Inputs, InputTensor } from './inputs.ts';
import { type SubmitAllOptions, submitLines, type TakenLine, writeLine } from './job-lines.ts';
import { readReceipt } from './receipt.ts';
import type { RetryRules } from './retry.ts';
import { readEvents } from './server-sent-events.ts';
import type { BytesAs } from './tensors.ts';

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'expired' | 'cancelled';

/** A job as it is at one moment. */
export type JobStatus<O extends Outputs = Outputs> = {
  id: string;
  state: JobState;
  model: string;
  createdAt: Date | undefined;
  /** Of a job that succeeded. */
  result: InferResult<O> | undefined;
  /** Of a job that ended otherwise. */
  error: SpillwayClientError | undefined;
};

/** What jobs need of the client. */
export type JobsContext = {
  door: HttpDoor;
  clock: Clock;
  rules: RetryRules;
  tensors(
    model: string,
    inputs: Inputs,
    options: { version?: string | undefined },
    scope: CallScope,
  ): Promise<readonly InputTensor[]>;
};

/** One of many jobs. */
export type JobRequest = {
  model: string;
  inputs: Inputs;
  /** Its name: 1 to 64 letters, digits, "_" or "-". The same name with the same request is the same job. Default: one of its own. */
  job?: string;
  version?: string;
  /** Names of the outputs wanted. Default: all. */
  outputs?: readonly string[];
  /** It will not run after this. Default: it has as long as it takes. */
  expiresAfterMs?: number;
};

/** What became of the request at `index`, from 0. */
export type SubmittedJob<O extends Outputs = Outputs> =
  | { index: number; job: Job<O>; state: JobState; error?: undefined }
  | { index: number; job?: undefined; state?: undefined; error: SpillwayClientError };

/** Longest time that the mesh is asked to hold one look; proxies between close what is silent for longer. */
const WAIT_S = 20;
/** Between looks at a door that does not wait. */
const POLL_MS = 250;
/** For one short call. */
const SHORT_MS = 30_000;

const FINAL: readonly string[] = ['succeeded', 'failed', 'expired', 'cancelled'];
const isFinal = ({ state }: JobStatus): boolean => FINAL.includes(state);

const pathOf = (id: string): string => `v1/jobs/${encodeURIComponent(id)}`;

/** A request that the mesh has taken and keeps until its result is stored, whatever becomes of this client. */
export class Job<O extends Outputs = Outputs> {
  /** Empty: the mesh answered at once, and `result()` has the answer. */
  readonly id: string;
  readonly #context: JobsContext;
  readonly #as: BytesAs;
  readonly #known: InferResult<O> | undefined;

  /** @internal Made by `submit`, `infer` and `jobs.get`. */
  constructor(id: string, context: JobsContext, as: BytesAs, known?: InferResult<O>) {
    this.id = id;
    this.#context = context;
    this.#as = as;
    this.#known = known;
  }

  /** @throws SpillwayClientError `NOT_FOUND` when there is no such job, or it is another tenant's. */
  async status({ timeoutMs = SHORT_MS, signal }: WaitOptions = {}): Promise<JobStatus<O>> {
    if (this.#known !== undefined) return answeredAtOnce(this.#known);
    using scope = new CallScope(this.#context.clock, timeoutMs, signal);
    return await this.#look(scope, 0);
  }

  /**
   * Waits for the end of the job. Without `timeoutMs` as long as it takes; giving up does not cancel the job.
   * @throws SpillwayClientError of the job; `DEADLINE_EXCEEDED` with reason `client_deadline` when the time is over first.
   */
  async result({ timeoutMs = Number.POSITIVE_INFINITY, signal }: WaitOptions = {}): Promise<InferResult<O>> {
    if (this.#known !== undefined) return this.#known;
    const { clock } = this.#context;
    using scope = new CallScope(clock, timeoutMs, signal);
    for (;;) {
      const waitS = Math.min(WAIT_S, Math.floor(scope.leftMs / 1_000));
      const askedMs = clock.now();
      const status = await this.#look(scope, waitS);
      if (isFinal(status)) return resultOf(status);
      if (clock.now() - askedMs < waitS * 500 || waitS === 0) await scope.sleep(POLL_MS);
    }
  }

  /** The job as it is and at each change, until it has ended. */
  async *events({ signal }: Pick<WaitOptions, 'signal'> = {}): AsyncGenerator<JobStatus<O>, void, undefined> {
    if (this.#known !== undefined) {
      yield answeredAtOnce(this.#known);
      return;
    }
    const { door, clock, rules } = this.#context;
    using scope = new CallScope(clock, Number.POSITIVE_INFINITY, signal);
    for (;;) {
      const call = { method: 'GET', path: pathOf(this.id), headers: { accept: 'text/event-stream' } };
      const body = await withRetries(scope, rules, async () => {
        const answered = await door.send(call, scope.signal);
        if (answered.status !== 200) await door.read(answered, scope.signal);
        return answered.body;
      });
      try {
        for await (const event of readEvents(body)) {
          const status = readStatus<O>(event, this.#as);
          yield status;
          if (isFinal(status)) return;
        }
      } catch (thrown) {
        const error = door.broken(thrown, scope.signal);
        if (error.reason !== 'connection') throw error;
      }
      await scope.sleep(POLL_MS); // the connection ended before the job: begin again with what it is now
    }
  }

  /** What has not started will not run. A job that has ended stays as it is. */
  async cancel({ timeoutMs = SHORT_MS, signal }: WaitOptions = {}): Promise<void> {
    if (this.#known !== undefined) return;
    const { door, clock, rules } = this.#context;
    using scope = new CallScope(clock, timeoutMs, signal);
    await withRetries(scope, rules, async () => {
      const answer = await door.send({ method: 'DELETE', path: pathOf(this.id) }, scope.signal);
      await door.read(answer, scope.signal);
    });
  }

  async #look(scope: CallScope, waitS: number): Promise<JobStatus<O>> {
    const { door, rules } = this.#context;
    const path = waitS > 0 ? `${pathOf(this.id)}?wait=${waitS}` : pathOf(this.id);
    const body = await withRetries(scope, rules, () => door.json({ method: 'GET', path }, scope.signal));
    return readStatus<O>(body, this.#as);
  }
}

export type JobList = { jobs: JobStatus[]; next: string | undefined };

/** The tenant's jobs. */
export class Jobs {
  readonly #context: () => JobsContext;

  /** @internal */
  constructor(context: () => JobsContext) {
    this.#context = context;
  }

  /**
   * Hands over any number of requests in few calls, and tells of each what became of it as soon as it is known, not always in their
   * order: the job, or why there is none. What a lost connection or a refusal for capacity leaves is sent again, as the same jobs.
   * @throws SpillwayClientError for what concerns all of them, and for inputs that their model has not.
   */
  async *submitAll<O extends Outputs = Outputs>(
    requests: AsyncIterable<JobRequest> | Iterable<JobRequest>,
    options: SubmitAllOptions & { bytes?: BytesAs } = {},
  ): AsyncGenerator<SubmittedJob<O>, void, undefined> {
    const context = this.#context();
    using scope = new CallScope(context.clock, options.timeoutMs ?? Number.POSITIVE_INFINITY, options.signal);
    const lines = async function* () {
      for await (const { inputs, ...request } of requests) {
        yield writeLine(request, await context.tensors(request.model, inputs, request, scope));
      }
    };
    for await (const { index, id, state, error } of submitLines(lines(), options, context)) {
      if (error !== undefined) yield { index, error };
      else yield { index, job: new Job<O>(id, context, options.bytes ?? 'text'), state };
    }
  }

  /** The same of lines as `POST /v1/jobs` takes them, such as those of a file. */
  submitLines(
    lines: AsyncIterable<string> | Iterable<string>,
    options: SubmitAllOptions = {},
  ): AsyncGenerator<TakenLine, void, undefined> {
    return submitLines(lines, options, this.#context());
  }

  /** One page, which may be short or empty; `next` is `after` of the following one, undefined on the last. */
  async list(options: { limit?: number; after?: string; state?: JobState } & WaitOptions = {}): Promise<JobList> {
    const { door, clock, rules } = this.#context();
    const { limit, after, state, timeoutMs = SHORT_MS, signal } = options;
    using scope = new CallScope(clock, timeoutMs, signal);
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ limit, after, state })) {
      if (value !== undefined) query.set(name, String(value));
    }
    const path = query.size === 0 ? 'v1/jobs' : `v1/jobs?${query}`;
    const body = await withRetries(scope, rules, () => door.json({ method: 'GET', path }, scope.signal));
    const { jobs = [], next } = body as { jobs?: unknown[]; next?: string | null };
    return { jobs: jobs.map((job) => readStatus(job, 'text')), next: next ?? undefined };
  }

  /** Every job, page by page. */
  async *all(options: { state?: JobState } & WaitOptions = {}): AsyncGenerator<JobStatus, void, undefined> {
    let page: JobList = { jobs: [], next: '0' };
    while (page.next !== undefined) {
      page = await this.list({ ...options, after: page.next });
      yield* page.jobs;
    }
  }

  /** @throws SpillwayClientError `NOT_FOUND`. */
  async get<O extends Outputs = Outputs>(id: string, options: WaitOptions & { bytes?: BytesAs } = {}): Promise<Job<O>> {
    const job = new Job<O>(id, this.#context(), options.bytes ?? 'text');
    await job.status(options);
    return job;
  }
}

type WireJob = {
  job?: string;
  state?: JobState;
  model?: string;
  created_at?: string | number;
  result?: unknown;
  error?: unknown;
};

function readStatus<O extends Outputs>(value: unknown, as: BytesAs): JobStatus<O> {
  const wire = (value ?? {}) as WireJob;
  const { job: id, state, model = '', created_at: created, result, error } = wire;
  if (id === undefined || state === undefined) {
    throw new SpillwayClientError('INTERNAL', 'the answer cannot be read: expected a job with its state');
  }
  const none = () => undefined;
  const answer = result === undefined || result === null ? undefined : readInferAnswer(result, as);
  return {
    id,
    state,
    model,
    createdAt: created === undefined ? undefined : new Date(created),
    result: answer && ({ ...answer, receipt: readReceipt(none) } as InferResult<O>),
    error: error === undefined || error === null ? undefined : errorFromObject(error),
  };
}

function answeredAtOnce<O extends Outputs>(result: InferResult<O>): JobStatus<O> {
  return { id: '', state: 'succeeded', model: result.model, createdAt: undefined, result, error: undefined };
}

function resultOf<O extends Outputs>({ id, state, result, error }: JobStatus<O>): InferResult<O> {
  if (state === 'succeeded' && result !== undefined) return result;
  if (error !== undefined) throw error;
  if (state === 'cancelled') throw new SpillwayClientError('CANCELLED', `job ${id} was cancelled`);
  if (state === 'expired') throw new SpillwayClientError('DEADLINE_EXCEEDED', `job ${id} expired before it could run`);
  throw new SpillwayClientError('INTERNAL', `job ${id} ended as ${state} without a result or an error`);
}
