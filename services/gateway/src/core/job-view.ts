import type { JobRecord } from '@spillway/contracts/buckets';
import { resultSubject } from '@spillway/contracts/subjects';

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'expired' | 'cancelled';

/**
 * A stored result: an answer, or `{"error": {"code", "message", "reason"}}`. `storedAtMs`: epoch. `isEvent`: it is the `data` of a
 * CloudEvent.
 */
export type JobOutcome = { payload: Uint8Array; storedAtMs: number; isEvent: boolean };

export type JobError = { code: string; message: string; reason: string };

/** What is known of a job. `error` with `failed`, `expired` and `cancelled`, if it was stored; `answer` (JSON) with `succeeded`. */
export type JobView = {
  tenant: string;
  job: string;
  state: JobState;
  record: JobRecord | undefined;
  finishedAtMs?: number;
  answer?: string;
  error?: JobError;
};

const STATES: Record<string, JobState> = { CANCELLED: 'cancelled', DEADLINE_EXCEEDED: 'expired' };

/** @param record Absent: the job came as an event, which leaves none. */
export function endedJob(
  { tenant, job }: { tenant: string; job: string },
  record: JobRecord | undefined,
  { payload, storedAtMs, isEvent }: JobOutcome,
): JobView {
  const stored = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString();
  const text = isEvent ? JSON.stringify((JSON.parse(stored) as { data: unknown }).data) : stored;
  const known = { tenant, job, record, finishedAtMs: storedAtMs };
  const error = errorOf(text);
  if (error === undefined) return { ...known, state: 'succeeded', answer: text };
  return { ...known, state: STATES[error.code] ?? 'failed', error };
}

/** Results of failed jobs have `error` as their only member; an answer begins with the model's name. */
function errorOf(text: string): JobError | undefined {
  if (!text.startsWith('{"error"')) return undefined;
  const { code = 'INTERNAL', message = '', reason = '' } = (JSON.parse(text) as { error: Partial<JobError> }).error;
  return { code, message, reason };
}

/** What has not ended yet. */
export const isOpen = ({ state }: JobView): boolean => state === 'queued' || state === 'running';

/** Without a result: it waits, a worker runs it, or its result was kept for as long as results are. */
export const openJob = (record: JobRecord, state: 'queued' | 'running' | 'expired'): JobView => ({
  tenant: record.tenant,
  job: record.job,
  state,
  record,
});

export const hrefOf = (job: string): string => `/v1/jobs/${job}`;

/** The JSON that the doors show of a job. The answer is put in as it was stored. */
export function writeJob({ tenant, job, state, record, finishedAtMs, answer, error }: JobView): string {
  const text = JSON.stringify({
    job,
    state,
    href: hrefOf(job),
    subject: resultSubject(tenant, job),
    ...(record && { model: record.model, class: record.class, created_at: timeOf(record.createdAt) }),
    ...(finishedAtMs !== undefined && { finished_at: timeOf(finishedAtMs) }),
    ...(error && { error }),
  });
  return answer === undefined ? text : `${text.slice(0, -1)},"result":${answer}}`;
}

const timeOf = (epochMs: number): string => new Date(epochMs).toISOString();
