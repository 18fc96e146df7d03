import type { Job, ReplyItem } from '@spillway/contracts/messages';
import { isSpillwayError, SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { Assembler } from './assemble.ts';
import type { Backend } from './backend.ts';
import type { BatchResult, JobResult, RunBatch, RunItem } from './executor-messages.ts';
import { runIsolating } from './isolate.ts';
import { jobAnswer } from './job-result.ts';
import { type AddressedReply, packReplies } from './reply-frames.ts';
import { type RequestInputs, RequestReader } from './request-reader.ts';
import type { ServedGraph } from './served-graph.ts';
import { splitAnswers } from './split.ts';

export type RunnerOptions = {
  /** Instance id of the worker, for the replies. */
  worker: string;
  model: string;
  version: string;
  graph: ServedGraph;
  backend: Backend;
  clock: Clock;
};

type Request = { index: number; inputs: RequestInputs };
type Outcome = Uint8Array | SpillwayError;

const NO_BYTES = new Uint8Array(0);
const MAX_FAULT_CHARACTERS = 1_000;

/** One model version in an executor: runs batches of serialized requests and serializes their answers. */
export class ModelRunner {
  readonly #options: RunnerOptions;
  readonly #reader: RequestReader;
  readonly #assembler: Assembler;
  #runMs = 0;
  #runs = 0;
  #fault = '';

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#reader = new RequestReader(options.graph);
    this.#assembler = new Assembler(options.graph);
  }

  /**
   * Answers every request of a batch: with its outputs, or with what was wrong with it alone.
   * @param waitedMs Since the batch reached the worker: a request whose budget is over is not run.
   */
  async run(batch: RunBatch, waitedMs: number): Promise<BatchResult> {
    this.#runMs = 0;
    this.#runs = 0;
    this.#fault = '';
    const outcomes: Outcome[] = new Array(batch.items.length);
    const requests: Request[] = [];
    for (let index = 0; index < batch.items.length; index += 1) {
      const read = this.#read(batch.items[index] as RunItem, waitedMs);
      if ('data' in read) requests.push({ index, inputs: read });
      else outcomes[index] = read;
    }
    for (const group of this.#groups(requests)) {
      for (const isolated of await runIsolating(group, (part) => this.#runOnce(part))) {
        outcomes[isolated.item.index] = 'fault' in isolated ? this.#failed(isolated.fault) : isolated.answer;
      }
    }
    return this.#result(batch, outcomes);
  }

  #read(item: RunItem, waitedMs: number): RequestInputs | SpillwayError {
    const expires = item.budgetMs > 0 && !item.job; // a job waits as long as it must
    if (expires && waitedMs >= item.budgetMs) {
      return new SpillwayError('DEADLINE_EXCEEDED', 'the deadline ended before the model ran', { reason: 'expired' });
    }
    try {
      return this.#reader.read(item.tensors);
    } catch (thrown) {
      return SpillwayError.from(thrown);
    }
  }

  /** Requests that may run together: equal shapes, no more rows than a batch. One group in all but broken batches. */
  #groups(requests: readonly Request[]): Request[][] {
    const maxRows = Math.max(1, this.#options.graph.maxBatchSize);
    const groups: Request[][] = [];
    const open = new Map<string, { group: Request[]; rows: number }>();
    for (const request of requests) {
      const { shapes, rows } = request.inputs;
      let current = open.get(shapes);
      if (current === undefined || current.rows + rows > maxRows) {
        current = { group: [], rows: 0 };
        open.set(shapes, current);
        groups.push(current.group);
      }
      current.group.push(request);
      current.rows += rows;
    }
    return groups;
  }

  async #runOnce(requests: readonly Request[]): Promise<Uint8Array[]> {
    const { graph, backend, clock } = this.#options;
    const tensors = this.#assembler.assemble(requests.map((request) => request.inputs));
    const startedMs = clock.now();
    try {
      this.#runs += 1;
      const outputs = await backend.run(tensors);
      return splitAnswers(
        graph,
        outputs,
        requests.map((request) => request.inputs.rows),
      );
    } finally {
      this.#runMs += clock.now() - startedMs;
    }
  }

  /** What the runtime says may hold paths of its build: it is for the log. */
  #failed(fault: unknown): SpillwayError {
    if (this.#fault === '')
      this.#fault = String(fault instanceof Error ? fault.message : fault).slice(0, MAX_FAULT_CHARACTERS);
    if (isSpillwayError(fault)) return fault;
    return new SpillwayError('BACKEND_FAILED', 'the model failed on this request', { reason: 'run_failed' });
  }

  #result(batch: RunBatch, outcomes: readonly Outcome[]): BatchResult {
    const { worker, model, version } = this.#options;
    const replies: AddressedReply[] = [];
    const jobs: JobResult[] = [];
    let failed = 0;
    for (let index = 0; index < outcomes.length; index += 1) {
      const item = batch.items[index] as RunItem;
      const outcome = outcomes[index] as Outcome;
      if (outcome instanceof Error) failed += 1;
      if (item.job) jobs.push(this.#jobResult(item.job, item.queueMs, outcome));
      else replies.push({ replyTo: item.replyTo, item: replyItem(item, outcome) });
    }
    const facts = {
      worker,
      batchId: batch.batchId,
      model,
      version,
      variant: batch.variant,
      batchRows: batch.rows,
      runMs: this.#runMs,
      closedBy: batch.closedBy,
    };
    const { batchId } = batch;
    const packed = packReplies(facts, batch.replyTo, replies);
    return { batchId, runMs: this.#runMs, runs: this.#runs, failed, replies: packed, jobs, fault: this.#fault };
  }

  #jobResult(job: Job, queueMs: number, outcome: Outcome): JobResult {
    if (outcome instanceof Error) return failedJob(job, outcome, queueMs);
    const { model, version } = this.#options;
    try {
      const payload = jobAnswer({ model, version, job }, outcome);
      return { job, payload, queueMs, errorCode: '', errorMessage: '', errorReason: '' };
    } catch (thrown) {
      return failedJob(job, SpillwayError.from(thrown), queueMs);
    }
  }
}

/** The reply to one request of a batch. */
export function replyItem(item: Pick<RunItem, 'seq' | 'queueMs'>, outcome: Uint8Array | SpillwayError): ReplyItem {
  const { seq, queueMs } = item;
  if (!(outcome instanceof Error))
    return { seq, queueMs, tensors: outcome, errorCode: '', errorMessage: '', errorReason: '' };
  const { code, message, reason = '' } = outcome;
  return { seq, queueMs, tensors: NO_BYTES, errorCode: code, errorMessage: message, errorReason: reason };
}

export function failedJob(job: Job, error: SpillwayError, queueMs: number): JobResult {
  const { code, message, reason = '' } = error;
  return { job, payload: NO_BYTES, queueMs, errorCode: code, errorMessage: message, errorReason: reason };
}
