import type { Batch, BatchDone } from '@spillway/contracts/messages';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { monotonicClock } from '@spillway/lifecycle/clock';
import type { BatchHead, BatchResult } from '../core/executor-messages.ts';
import { type TracedRun, traceBatch, traceReply, type WorkerTelemetry } from '../telemetry.ts';
import type { BatchOrigin } from './batcher-client.ts';
import type { ExecutorPool, Loss } from './executor-pool.ts';
import type { PoolBatch } from './executor-slot.ts';
import { decodeBatch, type ReplyPublisher } from './reply-publisher.ts';
import type { ResultStore } from './result-store.ts';

export type BatchFlowOptions = {
  worker: string;
  pool: Pick<ExecutorPool, 'run'>;
  publisher: ReplyPublisher;
  results: ResultStore;
  telemetry: WorkerTelemetry;
  /** Tells the batcher and gives the credit back. */
  finished: (origin: BatchOrigin, done: BatchDone) => void;
};

/**
 * The way of a batch through this process: from a batcher to the executors as it came, and back as answers that go to the
 * gateways as they come. Nothing here is done per request, unless a request of the batch is sampled or the batch failed.
 */
export class BatchFlow {
  readonly #options: BatchFlowOptions;
  /** Of the few batches held. A list, for a Map's abandoned copies would keep whole batches alive. */
  readonly #origins: { message: PoolBatch['message']; origin: BatchOrigin }[] = [];

  constructor(options: BatchFlowOptions) {
    this.#options = options;
  }

  accept(origin: BatchOrigin, head: BatchHead, message: Uint8Array): void {
    this.#origins.push({ message, origin });
    this.#options.pool.run(head, message);
  }

  ran(batch: PoolBatch, result: BatchResult): void {
    const { publisher, results, telemetry } = this.#options;
    if (result.batchId !== batch.head.batchId) {
      const error = new SpillwayError('INVALID_REQUEST', 'the batch could not be read', { reason: 'unreadable_batch' });
      this.#fail(batch, error);
      return;
    }
    const endedMs = monotonicClock.now();
    publisher.publish(result.replies);
    for (const job of result.jobs) void results.settle(job);
    this.#finish(batch, result.runMs, '');
    telemetry.ran(batch, result);
    if (batch.head.traceparent !== '') this.#trace(batch, { endedMs, runMs: result.runMs });
  }

  /** Its executor was killed or died while it ran. */
  lost(batch: PoolBatch, { reason }: Loss): void {
    const text =
      reason === 'run_limit'
        ? `the run was ended at its limit of ${batch.limitMs} ms`
        : 'the executor of the model was lost during the run';
    this.#fail(batch, new SpillwayError('BACKEND_FAILED', text, { reason }));
  }

  notStarted(batch: PoolBatch): void {
    this.#options.telemetry.notStarted(batch);
    this.#finish(batch, 0, 'UNAVAILABLE', true);
  }

  #fail(batch: PoolBatch, error: SpillwayError): void {
    const { publisher, results, telemetry, worker } = this.#options;
    const endedMs = monotonicClock.now();
    const decoded = decodeBatch(batch.message);
    if (decoded !== undefined) {
      for (const job of publisher.fail(decoded, worker, error)) void results.settle(job);
    }
    this.#finish(batch, batch.startedMs > 0 ? endedMs - batch.startedMs : 0, error.code);
    telemetry.failed(batch, decoded?.items.length ?? 0);
    if (batch.head.traceparent !== '') this.#trace(batch, { endedMs, runMs: 0, error }, decoded);
  }

  #finish({ head, message }: PoolBatch, runMs: number, errorCode: string, notStarted = false): void {
    const place = this.#origins.findIndex((held) => held.message === message);
    if (place === -1) return;
    const { origin } = this.#origins[place] as { origin: BatchOrigin };
    this.#origins.splice(place, 1);
    const { batchId, model, rows } = head;
    this.#options.finished(origin, { batchId, model, rows, runMs, errorCode, notStarted });
  }

  #trace(batch: PoolBatch, run: Pick<TracedRun, 'endedMs' | 'runMs' | 'error'>, known?: Batch): void {
    const decoded = known ?? decodeBatch(batch.message);
    if (decoded === undefined) return;
    const { arrivedAtMs, startedMs, pid } = batch;
    traceBatch(decoded, { arrivedMs: arrivedAtMs, startedMs, pid, ...run });
    traceReply(decoded, run.endedMs, monotonicClock.now());
  }
}
