import type { Batch, BatchDone } from '@spillway/contracts/messages';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { monotonicClock } from '@spillway/lifecycle/clock';
import type { Loss, LossReason } from '../core/executor-loss.ts';
import type { BatchHead, BatchResult } from '../core/executor-messages.ts';
import type { Traffic } from '../core/traffic.ts';
import { type TracedRun, traceBatch, traceReply, type WorkerTelemetry } from '../telemetry.ts';
import type { BatchOrigin } from './batcher-client.ts';
import type { ExecutorPool } from './executor-pool.ts';
import type { PoolBatch } from './executor-slot.ts';
import { decodeBatch, type ReplyPublisher } from './reply-publisher.ts';
import type { ResultStore } from './result-store.ts';

const LOST: Record<LossReason, string> = {
  run_limit: 'the run was ended at its limit',
  load_limit: 'the executor of the model was lost while it loaded',
  executor_died: 'the executor of the model was lost during the run',
};

export type BatchFlowOptions = {
  worker: string;
  pool: Pick<ExecutorPool, 'run'>;
  publisher: ReplyPublisher;
  results: ResultStore;
  telemetry: WorkerTelemetry;
  traffic: Traffic;
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
    this.#options.traffic.came(head.model);
    this.#options.pool.run(head, message);
  }

  ran(batch: PoolBatch, result: BatchResult): void {
    const { publisher, results, telemetry, worker } = this.#options;
    if (result.batchId !== batch.head.batchId) {
      const error = new SpillwayError('INVALID_REQUEST', 'the batch could not be read', { reason: 'unreadable_batch' });
      this.#fail(batch, error);
      return;
    }
    const endedMs = monotonicClock.now();
    publisher.publish(result.replies);
    for (const job of result.jobs) void results.settle(job, { ...batch.head, worker, runMs: result.runMs });
    this.#finish(batch, { runMs: result.runMs });
    telemetry.ran(batch, result);
    if (batch.head.traceparent !== '') this.#trace(batch, { endedMs, runMs: result.runMs });
  }

  /**
   * Its executor was killed or died while it ran. Requests are not answered: the batcher knows whether there is time to try them
   * again. Jobs are settled here, by their number of deliveries.
   */
  lost(batch: PoolBatch, { reason }: Loss): void {
    const decoded = decodeBatch(batch.message);
    if (decoded?.items.every(({ job }) => !job)) {
      const error = new SpillwayError('BACKEND_FAILED', LOST[reason], { reason });
      const endedMs = monotonicClock.now();
      this.#finish(batch, { runMs: endedMs - batch.startedMs, errorCode: error.code, errorReason: reason, lost: true });
      this.#options.telemetry.failed(batch, decoded.items.length);
      if (batch.head.traceparent !== '') this.#trace(batch, { endedMs, runMs: 0, error }, decoded);
      return;
    }
    this.#fail(batch, new SpillwayError('BACKEND_FAILED', LOST[reason], { reason }));
  }

  notStarted(batch: PoolBatch): void {
    this.#options.telemetry.notStarted(batch);
    this.#finish(batch, { errorCode: 'UNAVAILABLE', notStarted: true });
  }

  #fail(batch: PoolBatch, error: SpillwayError): void {
    const { publisher, results, telemetry, worker } = this.#options;
    const endedMs = monotonicClock.now();
    const decoded = decodeBatch(batch.message);
    if (decoded !== undefined) {
      for (const job of publisher.fail(decoded, worker, error)) {
        void results.settle(job, { ...batch.head, worker, runMs: 0 });
      }
    }
    this.#finish(batch, { runMs: batch.startedMs > 0 ? endedMs - batch.startedMs : 0, errorCode: error.code });
    telemetry.failed(batch, decoded?.items.length ?? 0);
    if (batch.head.traceparent !== '') this.#trace(batch, { endedMs, runMs: 0, error }, decoded);
  }

  #finish({ head, message }: PoolBatch, end: Partial<BatchDone>): void {
    const place = this.#origins.findIndex((held) => held.message === message);
    if (place === -1) return;
    const { origin } = this.#origins[place] as { origin: BatchOrigin };
    this.#origins.splice(place, 1);
    const { batchId, model, rows } = head;
    this.#options.traffic.ended(model);
    this.#options.finished(origin, { batchId, model, rows, runMs: 0, errorCode: '', notStarted: false, ...end });
  }

  #trace(batch: PoolBatch, run: Pick<TracedRun, 'endedMs' | 'runMs' | 'error'>, known?: Batch): void {
    const decoded = known ?? decodeBatch(batch.message);
    if (decoded === undefined) return;
    const { arrivedAtMs, startedMs, pid } = batch;
    traceBatch(decoded, { arrivedMs: arrivedAtMs, startedMs, pid, ...run });
    traceReply(decoded, run.endedMs, monotonicClock.now());
  }
}
