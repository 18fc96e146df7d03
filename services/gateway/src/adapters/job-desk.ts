import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import { deleteMessage, readMessage } from '@spillway/bus/stream-messages';
import { JOBS, type JobRecord } from '@spillway/contracts/buckets';
import { HEADERS } from '@spillway/contracts/headers';
import { jobKey } from '@spillway/contracts/job-messages';
import { JOBS_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { crashPoint } from '@spillway/lifecycle/crash-point';
import { isEventType } from '../core/cloud-events.ts';
import type { JobAddress } from '../core/event-envelope.ts';
import { checkOutputs } from '../core/event-request.ts';
import { endedJob, isOpen, type JobState, type JobView, openJob } from '../core/job-view.ts';
import type { InferRequest, Prepared } from '../core/request.ts';
import type { RunningJobs } from '../core/running-jobs.ts';
import { type DurableJob, jobStream } from './job-stream.ts';
import { waitForJob } from './job-watch.ts';

/** A request that is to become a job. `named`: the caller chose its id, so there may be one already. */
export type JobOrder = {
  address: JobAddress;
  named: boolean;
  /** SHA-256 (hex) of what was asked. */
  digest: string;
  request: InferRequest;
  prepared: Prepared;
  /** Those that the result shall hold; empty: all. */
  outputs: string[];
  /** On the gateway's clock; Infinity: none. */
  deadlineMs: number;
  parent: string;
  /** Of an event. */
  event?: Pick<DurableJob, 'origin' | 'originSubject'>;
};

/** What a repetition is held against. */
export type Asked = { digest: string; model: string };

/** `isNew` false: the same request has asked for it before, and it may have ended. */
export type TakenJob = { record: JobRecord; isNew: boolean };

export type JobDesk = {
  /** Resolves when JetStream has the job and its record. @throws SpillwayError `CONFLICT`: the id belongs to another request. */
  take(order: JobOrder): Promise<TakenJob>;
  /** The job that this request has asked for before. @throws SpillwayError `CONFLICT`: another one has. */
  find(address: JobAddress, asked: Asked): Promise<JobRecord | undefined>;
  /** Undefined: the tenant has no such job. */
  view(address: JobAddress): Promise<JobView | undefined>;
  /** Waits until the job has ended, at most `waitMs`, and not after `signal`. */
  ended(address: JobAddress, waitMs: number, signal?: AbortSignal): Promise<JobView | undefined>;
  /** The same until its state is another one. */
  changed(address: JobAddress, from: JobState, waitMs: number, signal?: AbortSignal): Promise<JobView | undefined>;
  /** It will not run, unless it is running: then its answer is thrown away. A job that has ended stays as it is. */
  cancel(address: JobAddress, requestId: string): Promise<JobView | undefined>;
  /** Oldest first. `after`: where the page before ended. */
  list(
    tenant: JobAddress['tenant'],
    after: number,
    limit: number,
  ): Promise<{ jobs: JobView[]; next: number | undefined }>;
};

/** The result of a CloudEvent in structured mode is a whole event. */
const isStructured = (headers: Record<string, string>): boolean => isEventType(headers['Content-Type']);

export type JobDeskOptions = {
  bus: Bus;
  clock: Clock;
  epochMs: () => number;
  running: Pick<RunningJobs, 'has' | 'watch'>;
};

export function jobDesk({ bus, clock, epochMs, running }: JobDeskOptions): JobDesk {
  const records = openBucket<JobRecord>(bus, JOBS);
  const jobs = jobStream({ bus, clock, epochMs });

  const conflict = (job: string): SpillwayError =>
    new SpillwayError('CONFLICT', `job "${job}": expected the request that it was created with`, {
      reason: 'idempotency_key',
    });
  const same = (found: JobRecord, { digest, model }: Asked): JobRecord => {
    if (found.digest === digest && found.model === model) return found;
    throw conflict(found.job);
  };
  const find = async (address: JobAddress, asked: Asked): Promise<JobRecord | undefined> => {
    const known = await records.get(jobKey(address));
    return known && same(known, asked);
  };

  /** Its record may be missing yet, or for ever if its gateway died: the stream's own message says what was asked. */
  const checkStored = async (seq: number, job: string, digest: string): Promise<void> => {
    const stored = await readMessage(bus, JOBS_STREAM, { seq });
    const asked = stored?.headers[HEADERS.digest];
    if (asked !== undefined && asked !== digest) throw conflict(job);
  };

  const outcomeOf = async (address: JobAddress, record: JobRecord | undefined): Promise<JobView | undefined> => {
    const found = await readMessage(bus, RESULTS_STREAM, { last: resultSubject(address.tenant, address.job) });
    if (found === undefined) return undefined;
    const { payload, timeMs: storedAtMs, headers } = found;
    return endedJob(address, record, { payload, storedAtMs, isEvent: isStructured(headers) });
  };

  const waits = async ({ seq, model, class: trafficClass }: JobRecord): Promise<boolean> =>
    (await readMessage(bus, JOBS_STREAM, { seq }))?.subject === jobsSubject(trafficClass, model);

  const viewOf = async (address: JobAddress, record: JobRecord | undefined): Promise<JobView | undefined> => {
    const ended = await outcomeOf(address, record);
    if (ended !== undefined || record === undefined) return ended;
    if (await waits(record)) return openJob(record, running.has(record.seq) ? 'running' : 'queued');
    return (await outcomeOf(address, record)) ?? openJob(record, 'expired'); // it may have ended between the two looks
  };
  const view = async (address: JobAddress): Promise<JobView | undefined> =>
    viewOf(address, await records.get(jobKey(address)));
  const watched = { bus, running, view };

  return {
    view,
    find,
    take: async (order) => {
      const { address, digest, request, prepared, outputs, deadlineMs, parent, event } = order;
      checkOutputs(outputs, prepared.model);
      const asked = { digest, model: request.model };
      const known = order.named ? await find(address, asked) : undefined;
      if (known !== undefined) return { record: known, isNew: false };
      const { trafficClass, traceparent, tracestate } = request;
      const { seq, duplicate } = await jobs.publish({
        address,
        originSubject: event?.originSubject ?? '',
        origin: { ...event?.origin, outputs },
        trafficClass,
        deadlineMs,
        parent,
        traceparent,
        tracestate,
        prepared,
        digest,
      });
      crashPoint('gateway.after-store');
      if (duplicate) await checkStored(seq, address.job, digest);
      const record: JobRecord = {
        ...address,
        model: request.model,
        class: trafficClass,
        createdAt: epochMs(),
        seq,
        digest,
        requestId: request.id,
      };
      const key = jobKey(address);
      if (await records.create(key, record)) return { record, isNew: !duplicate };
      return { record: same((await records.get(key)) ?? record, asked), isNew: false };
    },
    ended: (address, waitMs, signal) =>
      waitForJob(watched, {
        address,
        waitMs,
        signal,
        holds: (now) => now === undefined || !isOpen(now),
        starts: false,
      }),
    changed: (address, from, waitMs, signal) =>
      waitForJob(watched, { address, waitMs, signal, holds: (now) => now?.state !== from, starts: true }),
    cancel: async (address, requestId) => {
      const found = await view(address);
      if (found?.record === undefined || !isOpen(found)) return found;
      const error = new SpillwayError('CANCELLED', 'the job was cancelled by its owner', { reason: 'cancelled' });
      await jobs.storeError(address, error, requestId);
      await deleteMessage(bus, JOBS_STREAM, found.record.seq);
      return outcomeOf(address, found.record);
    },
    list: async (tenant, after, limit) => {
      const page = await records.page(`${tenant}.*`, after, limit);
      const views = await Promise.all(page.map(({ value }) => viewOf({ tenant, job: value.job }, value)));
      const next = page.length === limit ? page.at(-1)?.revision : undefined;
      return { jobs: views.filter((one) => one !== undefined), next };
    },
  };
}
