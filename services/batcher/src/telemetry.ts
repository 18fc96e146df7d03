import { CLASSES, type TrafficClass } from '@spillway/contracts/classes';
import type { BatchDone, Hello } from '@spillway/contracts/messages';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { batchTraceparent, recordBatch } from '@spillway/telemetry/batch-links';
import type { Logger } from '@spillway/telemetry/logger';
import { type BoundHistogram, counterOf, gaugeOf, histogramOf, type Metrics } from '@spillway/telemetry/metrics';
import { ATTRIBUTES, METRICS, SPANS } from '@spillway/telemetry/names';
import { recordSpan } from '@spillway/telemetry/spans';
import type { FrameSource } from './adapters/frame-reader.ts';
import type { Dispatcher } from './core/dispatcher.ts';
import type { Dispatch } from './core/in-flight.ts';
import type { Instance } from './core/instance.ts';
import type { Ended, Returned } from './core/returns.ts';
import type { Work } from './core/work.ts';

export type DropReason = 'expired' | 'too_late' | 'cancelled' | 'abandoned' | 'bus_down' | 'queue_full';

/** Turns the facts of the core and its adapters into metrics, spans and log lines. */
export type BatcherTelemetry = {
  pulled(source: FrameSource, messages: number): void;
  invalid(source: FrameSource, reason: string): void;
  intake(model: string, change: 'opened' | 'closed', framesHandedBack: number): void;
  /** Requests that will not run. */
  dropped(reason: DropReason, work: readonly Work[]): void;
  /** The same for rows out of time: `expired` have passed their deadline, the others could not meet it any more. */
  expired(work: readonly Work[]): void;
  /** A batch is about to leave; its trace begins here. */
  sending(dispatch: Dispatch): void;
  ended(ended: Ended, done: BatchDone): void;
  /** Instances that are silent for too long, and what became of the requests they had. */
  suspected(suspects: readonly Instance[], withdrawn: Returned): void;
  joined(instance: string, hello: Hello): void;
  lost(instance: string, lost: Returned, reason: SpillwayError | undefined): void;
};

export type TelemetryOptions = { metrics: Metrics; log: Logger; clock: Clock; dispatcher: Dispatcher };

/** Series by model and class, found once: the loop over a batch adds numbers only. */
type Waits = Record<TrafficClass, BoundHistogram>;

const sampledOf = (dispatch: Dispatch): string[] => {
  const sampled: string[] = [];
  for (const { item } of dispatch.work) if (item.traceparent !== '') sampled.push(item.traceparent);
  return sampled;
};

/** Jobs are delayed on purpose: they have classes of their own. */
const classLabel = (trafficClass: string, durable: boolean): string =>
  durable ? `jobs_${trafficClass}` : trafficClass;

/** A list as one field: the log cuts arrays shorter than texts. */
const joined = (work: readonly Work[], text: (work: Work) => string | number): string => work.map(text).join(' ');

export function createBatcherTelemetry({ metrics, log, clock, dispatcher }: TelemetryOptions): BatcherTelemetry {
  const queueWait = histogramOf(metrics, METRICS.queueWait);
  const batchSize = histogramOf(metrics, METRICS.batchSize);
  const startedLate = counterOf(metrics, METRICS.rowsStartedLate);
  const finishedLate = counterOf(metrics, METRICS.rowsFinishedLate);
  const suspects = metrics.counter('spillway_batcher_suspects_total', 'Instances that fell silent with a batch', [
    'model',
  ]);
  const dropped = metrics.counter('spillway_batcher_dropped_total', 'Requests that were not started, by reason', [
    'class',
    'model',
    'reason',
  ]);
  const pulls = metrics.counter('spillway_batcher_pulls_total', 'Pulls sent to JetStream', ['class', 'model']);
  const pulled = metrics.counter('spillway_batcher_pulled_messages_total', 'Messages asked for by these pulls', [
    'class',
    'model',
  ]);
  const invalid = metrics.counter('spillway_batcher_invalid_frames_total', 'Messages terminated unread, by reason', [
    'model',
    'reason',
  ]);
  const returned = metrics.counter(
    'spillway_batcher_returned_total',
    'Requests of batches that did not run, by what became of them',
    ['outcome'],
  );
  registerGauges(metrics, dispatcher);

  const waits = { requests: new Map<string, Waits>(), jobs: new Map<string, Waits>() };
  const waitsOf = (model: string, durable: boolean): Waits => {
    const known = durable ? waits.jobs : waits.requests;
    let found = known.get(model);
    if (found === undefined) {
      const series = CLASSES.map((c) => [c, queueWait.bind({ class: classLabel(c, durable), model })]);
      found = Object.fromEntries(series) as Waits;
      known.set(model, found);
    }
    return found;
  };
  const drop = (reason: DropReason, { trafficClass, model }: { trafficClass: string; model: string }): void =>
    dropped.inc({ class: trafficClass, model, reason });
  const countReturned = ({ requeued, expired, abandoned, deadJobs }: Returned): void => {
    returned.inc({ outcome: 'requeued' }, requeued.length);
    returned.inc({ outcome: 'expired' }, expired.length);
    returned.inc({ outcome: 'abandoned' }, abandoned.length);
    returned.inc({ outcome: 'dead_letter' }, deadJobs.length);
  };

  const traceWait = (work: Work, { batchId, closedBy, model, sentAtMs }: Dispatch): void => {
    recordSpan({
      name: SPANS.queueWait,
      traceparent: work.item.traceparent,
      kind: 'consumer',
      startMs: work.enqueuedAtMs,
      endMs: sentAtMs,
      attributes: {
        [ATTRIBUTES.requestId]: work.item.requestId,
        [ATTRIBUTES.model]: model,
        [ATTRIBUTES.trafficClass]: work.trafficClass,
        [ATTRIBUTES.batchId]: batchId,
        [ATTRIBUTES.batchClosedBy]: closedBy,
        [ATTRIBUTES.queueMs]: work.agedMs + sentAtMs - work.enqueuedAtMs,
      },
    });
  };
  const traceBatch = (
    dispatch: Dispatch,
    fields: { runMs?: number; error?: { code: string; message: string } },
  ): void => {
    if (dispatch.traceparent === '') return;
    const [first] = dispatch.work;
    recordBatch({
      traceparent: dispatch.traceparent,
      model: dispatch.model,
      requests: sampledOf(dispatch),
      startMs: dispatch.sentAtMs,
      endMs: clock.now(),
      error: fields.error,
      attributes: {
        [ATTRIBUTES.batchId]: dispatch.batchId,
        [ATTRIBUTES.batchSize]: dispatch.rows,
        [ATTRIBUTES.batchClosedBy]: dispatch.closedBy,
        [ATTRIBUTES.model]: dispatch.model,
        [ATTRIBUTES.version]: first?.route.version,
        [ATTRIBUTES.variant]: first?.route.variant,
        [ATTRIBUTES.trafficClass]: first?.trafficClass,
        [ATTRIBUTES.runMs]: fields.runMs,
      },
    });
  };

  return {
    pulled: ({ model, trafficClass, durable }, messages) => {
      const labels = { class: classLabel(trafficClass, durable), model };
      pulls.inc(labels);
      pulled.inc(labels, messages);
    },
    invalid: ({ model, trafficClass, durable }, reason) => {
      invalid.inc({ model, reason });
      log.warn({ model, class: trafficClass, durable, reason }, 'a message that is no frame was terminated');
    },
    intake: (model, change, framesHandedBack) =>
      log.info({ model, change, frames_handed_back: framesHandedBack }, 'intake'),
    dropped: (reason, work) => {
      for (const one of work) drop(reason, { trafficClass: one.trafficClass, model: one.model });
    },
    expired: (work) => {
      const nowMs = clock.now();
      for (const one of work) {
        const { trafficClass, model, deadlineMs } = one;
        drop(deadlineMs <= nowMs ? 'expired' : 'too_late', { trafficClass, model });
      }
    },
    sending: (dispatch) => {
      const { batchId, closedBy, model, rows, sentAtMs, work } = dispatch;
      const durable = work[0]?.frame.durable === true;
      const series = waitsOf(model, durable); // requests and jobs never share a batch
      let sampled = false;
      let lateRows = 0;
      for (const one of work) {
        if (one.deadlineMs <= sentAtMs) lateRows += one.rows;
        series[one.trafficClass].observe((one.agedMs + sentAtMs - one.enqueuedAtMs) / 1_000);
        if (one.item.traceparent === '') continue;
        sampled = true;
        traceWait(one, dispatch);
      }
      if (sampled) dispatch.traceparent = batchTraceparent(sampledOf(dispatch));
      batchSize.observe({ model, closed_by: closedBy }, rows);
      if (lateRows > 0) startedLate.inc({ model }, lateRows);
      if (!log.isLevelEnabled('debug')) return;
      const [first] = work;
      log.debug(
        {
          batch_id: batchId,
          model,
          class: first?.trafficClass,
          rows,
          closed_by: closedBy,
          queue_ms:
            first === undefined ? 0 : Math.round((first.agedMs + sentAtMs - first.enqueuedAtMs) * 1_000) / 1_000,
          jobs: durable,
          seqs: joined(work, (one) => one.item.seq),
          request_ids: joined(work, (one) => one.item.requestId),
        },
        'batch',
      );
    },
    ended: (ended, { runMs, errorCode, notStarted }) => {
      countReturned(ended);
      const { dispatch, lateRows } = ended;
      if (lateRows > 0) finishedLate.inc({ model: dispatch.model }, lateRows);
      const message = notStarted ? 'the batch was not started; its requests go elsewhere' : 'the batch failed';
      traceBatch(dispatch, {
        runMs,
        ...(errorCode === '' && !notStarted ? {} : { error: { code: errorCode || 'UNAVAILABLE', message } }),
      });
      if (errorCode === '' && !notStarted) return;
      const fields = { batch_id: dispatch.batchId, model: dispatch.model, rows: dispatch.rows, error_code: errorCode };
      log.warn({ ...fields, not_started: notStarted, requeued: ended.requeued.length }, 'batch did not run');
    },
    suspected: (silent, withdrawn) => {
      countReturned(withdrawn);
      for (const { slot } of silent) suspects.inc({ model: slot.model });
      const { requeued, expired, abandoned } = withdrawn;
      const counts = { requeued: requeued.length, expired: expired.length, abandoned: abandoned.length };
      log.warn({ model: silent[0]?.slot.model, instances: silent.length, ...counts }, 'instances fell silent');
    },
    joined: (instance, { models }) =>
      log.info({ worker: instance, models: models.map(({ model }) => model) }, 'worker joined'),
    lost: (instance, lost, reason) => {
      countReturned(lost);
      const { requeued, expired, abandoned, deadJobs } = lost;
      const counts = { requeued: requeued.length, expired: expired.length, abandoned: abandoned.length };
      log.info({ worker: instance, ...counts, dead_jobs: deadJobs.length, reason: reason?.message }, 'worker left');
    },
  };
}

/** Read only when somebody looks. */
function registerGauges(metrics: Metrics, dispatcher: Dispatcher): void {
  gaugeOf(metrics, METRICS.queueRows, (gauge) => {
    for (const [model, queues] of dispatcher.models()) {
      for (const [rank, trafficClass] of CLASSES.entries()) {
        gauge.set({ class: trafficClass, model }, queues.requests.rowsOf(rank));
        gauge.set({ class: classLabel(trafficClass, true), model }, queues.jobs.rowsOf(rank));
      }
    }
  });
  metrics.gauge('spillway_batcher_in_flight_batches', 'Batches at the workers', [], (gauge) =>
    gauge.set({}, dispatcher.inFlight.size),
  );
  metrics.gauge('spillway_batcher_held_frames', 'Messages of JetStream held unacknowledged', [], (gauge) =>
    gauge.set({}, dispatcher.frames.size),
  );
  metrics.gauge('spillway_batcher_free_credits', 'Batches that workers would take now', ['model'], (gauge) => {
    for (const [model] of dispatcher.models()) {
      let free = 0;
      for (const slot of dispatcher.credits.slotsOf(model)) free += slot.free;
      gauge.set({ model }, free);
    }
  });
  metrics.gauge(
    'spillway_batcher_capacity',
    'Instances that the model can keep busy here',
    ['model', 'kind'],
    (gauge) => {
      for (const [model, { capacity }] of dispatcher.models()) {
        gauge.set({ model, kind: 'measured' }, capacity.raw);
        gauge.set({ model, kind: 'corrected' }, capacity.corrected);
        gauge.set({ model, kind: 'suspect' }, capacity.suspect);
      }
    },
  );
  metrics.gauge('spillway_batcher_fill', 'Rows of the last batches over rows of a full one', ['model'], (gauge) => {
    for (const [model, { capacity }] of dispatcher.models()) gauge.set({ model }, capacity.fill);
  });
  metrics.gauge('spillway_batcher_full_batch_seconds', 'Learned time of a full batch', ['model'], (gauge) => {
    for (const [model, { capacity }] of dispatcher.models()) gauge.set({ model }, capacity.runMs / 1_000);
  });
  metrics.gauge('spillway_batcher_full_batch_rows', 'Rows of a full batch', ['model'], (gauge) => {
    for (const [model, { capacity }] of dispatcher.models()) gauge.set({ model }, capacity.operatingRows);
  });
}
