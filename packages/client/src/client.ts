import { asClientError, withRetries } from './attempts.ts';
import {
  headersOf,
  type InferOptions,
  type InferResult,
  type Outputs,
  type SubmitOptions,
  type WaitOptions,
} from './call-options.ts';
import { CallScope, systemClock } from './call-scope.ts';
import { type ClientOptions, type Opened, openTransports } from './client-options.ts';
import { SpillwayClientError } from './errors.ts';
import { InferStream } from './grpc-stream.ts';
import { readResponse, wireRequest } from './grpc-transport.ts';
import { inOrder } from './in-order.ts';
import { areComplete, type Inputs, type InputTensor, toTensors } from './inputs.ts';
import { Job, Jobs, type JobsContext } from './jobs.ts';
import type { ModelMetadata, ModelSummary } from './metadata.ts';
import type { Answered, InferRequest, Rung, Ticket } from './request.ts';
import { RetryBudget, type RetryRules } from './retry.ts';
import { traceHeaders } from './trace-context.ts';

/** A job, if tickets are among what is accepted. */
export type TicketOf<A extends Rung, O extends Outputs = Outputs> = 'ticket' extends A ? Job<O> : never;

export type StreamOptions = Omit<InferOptions, 'accept'> & {
  /** Requests under way at a time. Default: 64 over gRPC, else 16. */
  inFlight?: number | undefined;
};

/** The answer to the `index`th request of a stream, or why there is none. */
export type StreamAnswer<O extends Outputs = Outputs> =
  | { index: number; result: InferResult<O>; error?: undefined }
  | { index: number; result?: undefined; error: SpillwayClientError };

/** Headers of one try. */
type Headers = (scope: CallScope, trace: Readonly<Record<string, string>>) => Record<string, string>;

/** A call without a deadline of its own gets the model's from the mesh; this one is for a mesh that says nothing at all. */
const NO_ANSWER_MS = 60_000;
const METADATA_MS = 10_000;

/**
 * A client of one mesh, for any number of calls at a time.
 * @example
 * await using client = new SpillwayClient({ url: 'http://127.0.0.1:8000' });
 * const { outputs } = await client.infer<{ label: string[] }>('intent', { text: ['my card is lost'] });
 */
export class SpillwayClient<A extends Rung = 'wait' | 'degraded'> implements AsyncDisposable {
  /** Durable jobs of this tenant. */
  readonly jobs: Jobs;
  readonly #options: ClientOptions<A>;
  readonly #opened: Opened;
  readonly #rules: RetryRules;
  readonly #metadata = new Map<string, Promise<ModelMetadata>>();

  /** Opens no connection yet. @throws SpillwayClientError `INVALID_REQUEST` for a URL that it does not know. */
  constructor(options: ClientOptions<A>) {
    this.#options = options;
    this.#opened = openTransports(options);
    const { retry } = options;
    this.#rules = {
      maxAttempts: retry === false ? 1 : (retry?.maxAttempts ?? 4),
      budget: new RetryBudget(retry === false ? 0 : retry?.tokens),
      random: Math.random,
    };
    this.jobs = new Jobs(() => this.#jobsContext());
  }

  /**
   * Runs a model. Resolves to a job instead if tickets are accepted and the mesh gave one.
   * @throws SpillwayClientError
   */
  async infer<O extends Outputs = Outputs, B extends Rung = A>(
    model: string,
    inputs: Inputs,
    options: InferOptions<B> = {},
  ): Promise<InferResult<O> | TicketOf<B, O>> {
    const outcome = await this.#ask(model, inputs, options, this.#headers(options));
    if (!('ticket' in outcome)) return outcome as InferResult<O>;
    return this.#job<O>(outcome.ticket, options) as TicketOf<B, O>;
  }

  /**
   * Gives the mesh a request to keep and to run when there is capacity: it is delayed under load, never refused for it.
   * @throws SpillwayClientError `CONFLICT` when the idempotency key was used with another body.
   */
  async submit<O extends Outputs = Outputs>(
    model: string,
    inputs: Inputs,
    { expiresAfterMs, ...options }: SubmitOptions = {},
  ): Promise<Job<O>> {
    const context = this.#jobsContext();
    if (this.#opened.transport.kind !== 'http') {
      throw new SpillwayClientError('UNSUPPORTED', 'jobs are submitted over HTTP: expected an http:// or https:// URL');
    }
    // Without a key a try whose answer was lost would be a second job.
    const own = { ...options, idempotencyKey: options.idempotencyKey ?? crypto.randomUUID() };
    const outcome = await this.#ask(model, inputs, own, (_scope, trace) => ({
      ...headersOf(own, undefined, expiresAfterMs, trace),
      prefer: 'respond-async',
    }));
    if ('ticket' in outcome) return this.#job<O>(outcome.ticket, options);
    return new Job<O>('', context, options.bytes ?? 'text', outcome as InferResult<O>);
  }

  /**
   * Many requests of one model, answered in their order; one that fails is an answer with an error, and the stream goes on. Over
   * gRPC they share one stream and are not repeated; else they are calls like `infer`. Leaving the loop cancels what is under way.
   */
  async *stream<O extends Outputs = Outputs>(
    model: string,
    requests: AsyncIterable<Inputs> | Iterable<Inputs>,
    options: StreamOptions = {},
  ): AsyncGenerator<StreamAnswer<O>, void, undefined> {
    const { grpc } = this.#opened;
    const leaving = new AbortController();
    const signal = AbortSignal.any([leaving.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    const own = { ...options, signal };
    try {
      if (grpc === undefined) {
        const headers = this.#headers({ accept: ACCEPTED, ...own });
        const each = async (inputs: Inputs) => (await this.#ask(model, inputs, own, headers)) as InferResult<O>;
        yield* inOrder(requests, options.inFlight ?? 16, settled(each));
        return;
      }
      using first = this.#scope(own);
      const headers = this.#headers({ accept: ACCEPTED, ...own })(first, await traceHeaders());
      using stream = new InferStream(await first.race(grpc.open()), headers);
      const each = async (inputs: Inputs) => {
        using scope = this.#scope(own);
        const request = this.#request(model, await this.#tensors(model, inputs, own, scope), own, {});
        const { response, fields } = await scope.race(stream.send(wireRequest(request)));
        return readResponse(response, fields, request.bytes) as InferResult<O>;
      };
      yield* inOrder(requests, options.inFlight ?? 64, settled(each));
    } finally {
      leaving.abort();
    }
  }

  /** Names, types and shapes of a model. Kept for the calls that need them. */
  async model(name: string, { version, ...options }: WaitOptions & { version?: string } = {}): Promise<ModelMetadata> {
    using scope = this.#scope(options);
    return await this.#describe(name, version, scope);
  }

  /** What the repository holds, ready or not. */
  async models(options: WaitOptions = {}): Promise<ModelSummary[]> {
    using scope = this.#scope(options);
    return await withRetries(scope, this.#rules, () => this.#opened.catalogue.models(scope));
  }

  /** True if the mesh takes requests in now; false also when nothing answers. */
  async ready(options: WaitOptions = {}): Promise<boolean> {
    using scope = this.#scope(options);
    try {
      return await this.#opened.transport.ready(scope);
    } catch (thrown) {
      if (asClientError(thrown).isRetryable) return false;
      throw thrown;
    }
  }

  /** Closes connections; calls that are under way fail. */
  async close(): Promise<void> {
    await this.#opened.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #ask(
    model: string,
    inputs: Inputs,
    options: InferOptions,
    headers: Headers,
  ): Promise<Answered | { ticket: Ticket }> {
    using scope = this.#scope(options);
    const tensors = await this.#tensors(model, inputs, options, scope);
    const trace = await traceHeaders();
    try {
      return await withRetries(scope, this.#rules, () => {
        return this.#opened.transport.infer(this.#request(model, tensors, options, headers(scope, trace)), scope);
      });
    } catch (thrown) {
      const error = asClientError(thrown);
      if (error.code === 'INVALID_REQUEST' || error.code === 'MODEL_NOT_FOUND') this.#metadata.clear();
      throw error;
    }
  }

  #request(
    model: string,
    inputs: readonly InputTensor[],
    { version, outputs, bytes = 'text' }: InferOptions,
    headers: Readonly<Record<string, string>>,
  ): InferRequest {
    return { model, version, inputs, outputs, bytes, headers };
  }

  async #tensors(
    model: string,
    inputs: Inputs,
    { version }: InferOptions,
    scope: CallScope,
  ): Promise<readonly InputTensor[]> {
    if (areComplete(inputs) || !this.#opened.hasMetadata) return toTensors(inputs, undefined);
    const described = await this.#describe(model, version, scope);
    try {
      return toTensors(inputs, described);
    } catch (thrown) {
      this.#metadata.clear(); // what is known of the model may be old: the next call asks again
      throw thrown;
    }
  }

  /** Asked once for all that need it; what failed is asked again. */
  #describe(model: string, version: string | undefined, scope: CallScope): Promise<ModelMetadata> {
    const key = `${version ?? ''}/${model}`;
    let found = this.#metadata.get(key);
    if (found === undefined) {
      found = this.#fetchMetadata(model, version);
      this.#metadata.set(key, found);
      found.catch(() => this.#metadata.delete(key));
    }
    return scope.race(found);
  }

  /** With a time of its own: who asked first may leave, and others still wait for it. */
  async #fetchMetadata(model: string, version: string | undefined): Promise<ModelMetadata> {
    using scope = new CallScope(systemClock, METADATA_MS, undefined);
    return await withRetries(scope, this.#rules, () => this.#opened.catalogue.model(model, version, scope));
  }

  #headers(options: InferOptions): Headers {
    const { accept = this.#options.accept, timeoutMs = this.#options.timeoutMs } = options;
    return (scope, trace) => headersOf(options, accept, timeoutMs === undefined ? undefined : scope.leftMs, trace);
  }

  #scope({ timeoutMs = this.#options.timeoutMs ?? NO_ANSWER_MS, signal }: WaitOptions): CallScope {
    return new CallScope(systemClock, timeoutMs, signal);
  }

  #job<O extends Outputs>({ job }: Ticket, { bytes = 'text' }: InferOptions): Job<O> {
    return new Job<O>(job, this.#jobsContext(), bytes);
  }

  #jobsContext(): JobsContext {
    const { door } = this.#opened;
    if (door !== undefined) {
      const tensors: JobsContext['tensors'] = (model, inputs, options, scope) =>
        this.#tensors(model, inputs, options, scope);
      return { door, clock: systemClock, rules: this.#rules, tensors };
    }
    const what = 'jobs are asked for over HTTP: name the HTTP door too ({ http: "http://…" })';
    throw new SpillwayClientError('UNSUPPORTED', what);
  }
}

/** A stream has no place for a ticket. */
const ACCEPTED: readonly Rung[] = ['wait', 'degraded'];

const settled =
  <O extends Outputs>(each: (inputs: Inputs) => Promise<InferResult<O>>) =>
  (inputs: Inputs, index: number): Promise<StreamAnswer<O>> =>
    each(inputs).then(
      (result) => ({ index, result }),
      (thrown: unknown) => ({ index, error: asClientError(thrown) }),
    );
