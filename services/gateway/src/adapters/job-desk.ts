import { openBucket } from '@spillway/bus/kv';
import { deleteMessage, readMessage } from '@spillway/bus/stream-messages';
import { JOBS, type JobRecord } from '@spillway/contracts/buckets';
import { jobKey } from '@spillway/contracts/job-messages';
import { JOBS_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { isEventType } from '../core/cloud-events.ts';
import type { JobAddress } from '../core/event-envelope.ts';
import { checkOutputs } from '../core/event-request.ts';
import { endedJob, type JobView, openJob } from '../core/job-view.ts';
import type { InferRequest, Prepared } from '../core/request.ts';
import { type JobStreamOptions, jobStream } from './job-stream.ts';

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
};

export type JobDesk = {
  /** Resolves when JetStream has the job and its record. @throws SpillwayError `CONFLICT`: the id belongs to another request. */
  take(order: JobOrder): Promise<JobRecord>;
  /** Undefined: the tenant has no such job. */
  view(address: JobAddress): Promise<JobView | undefined>;
  /** Waits until the job has ended, at most `waitMs`, and not after `signal`. */
  ended(address: JobAddress, waitMs: number, signal?: AbortSignal): Promise<JobView | undefined>;
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

/** A message passes by before its stream has it. */
const STORED_WITHIN_MS = [5, 20, 50, 100, 200] as const;

export function jobDesk({ bus, clock, epochMs }: JobStreamOptions): JobDesk {
  const records = openBucket<JobRecord>(bus, JOBS);
  const jobs = jobStream({ bus, clock, epochMs });

  const same = (found: JobRecord, { digest, request }: JobOrder): JobRecord => {
    if (found.digest === digest && found.model === request.model) return found;
    throw new SpillwayError('CONFLICT', `job "${found.job}": expected the request that it was created with`, {
      reason: 'idempotency_key',
    });
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
    if (await waits(record)) return openJob(record, true);
    return (await outcomeOf(address, record)) ?? openJob(record, false); // it may have ended between the two looks
  };
  const view = async (address: JobAddress): Promise<JobView | undefined> =>
    viewOf(address, await records.get(jobKey(address)));

  return {
    view,
    take: async (order) => {
      const { address, request, prepared, outputs, deadlineMs, parent } = order;
      checkOutputs(outputs, prepared.model);
      const key = jobKey(address);
      const known = order.named ? await records.get(key) : undefined;
      if (known !== undefined) return same(known, order);
      const { trafficClass, traceparent, tracestate } = request;
      const job = {
        address,
        originSubject: '',
        origin: { outputs },
        trafficClass,
        deadlineMs,
        parent,
        traceparent,
        tracestate,
        prepared,
      };
      const { seq } = await jobs.publish(job);
      const record: JobRecord = {
        ...address,
        model: request.model,
        class: trafficClass,
        createdAt: epochMs(),
        seq,
        digest: order.digest,
        requestId: request.id,
      };
      if (await records.create(key, record)) return record;
      return same((await records.get(key)) ?? record, order);
    },
    ended: async (address, waitMs, signal) => {
      const passed = Promise.withResolvers<void>();
      const timers: NodeJS.Timeout[] = [setTimeout(passed.resolve, waitMs)];
      const watch = bus.subscribe(resultSubject(address.tenant, address.job), () => {
        for (const ms of STORED_WITHIN_MS) timers.push(setTimeout(look, ms));
      });
      signal?.addEventListener('abort', () => passed.resolve());
      let latest: JobView | undefined;
      const look = async (): Promise<void> => {
        const now = await view(address).catch(() => latest);
        latest = now;
        if (now === undefined || now.state !== 'queued') passed.resolve();
      };
      try {
        latest = await view(address);
        if (latest?.state !== 'queued' || signal?.aborted) return latest;
        for (const ms of STORED_WITHIN_MS) timers.push(setTimeout(look, ms)); // it may have passed by before the first look
        await passed.promise;
        return latest.state === 'queued' ? await view(address) : latest;
      } finally {
        for (const timer of timers) clearTimeout(timer);
        watch.stop();
      }
    },
    cancel: async (address, requestId) => {
      const found = await view(address);
      if (found?.state !== 'queued' || found.record === undefined) return found;
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
