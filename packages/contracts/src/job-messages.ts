import { CATALOGUE } from '@spillway/errors/catalogue';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { errorHeaders } from '@spillway/errors/to-oip';
import { encodeResultEvent, type ResultEvent } from './cloud-event-result.ts';
import { HEADERS, NATS_HEADERS } from './headers.ts';
import type { Job } from './messages.ts';
import { dlqSubject, resultSubject } from './subjects.ts';

/** How a job ends, in one form whoever writes it: gateway, batcher or worker. */

export type StreamMessage = { subject: string; msgId: string; payload: Uint8Array; headers: Record<string, string> };
/** `replyTo`: where it is published once more; empty: nowhere. */
export type ResultMessage = StreamMessage & { replyTo: string };

/** Messages quote what a publisher sent, which may be megabytes of one name. */
const MAX_CHARACTERS = 1_024;
const cut = (text: string): string => (text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text);
/** A header has one line. */
export const headerText = (text: string): string => cut(text).replaceAll(/\p{Cc}+/gu, ' ');

/**
 * One for each life of a job: a replay is a new life under the same name, which JetStream must not take for a repetition of the
 * one that failed.
 */
export const jobKey = ({ tenant, job, replay = 0 }: Pick<Job, 'tenant' | 'job' | 'replay'>): string =>
  replay === 0 ? `${tenant}.${job}` : `${tenant}.${job}.${replay}`;

/** How a result came to be: of which model (empty: none was named), and when, in ms since the epoch. */
export type Made = { model: string; madeAtMs: number };

/** @param json What the model answered, as the Open Inference Protocol writes it. */
export const answerMessage = (job: Job, made: Made, json: Uint8Array, receipt: Record<string, string>) =>
  resultMessage(job, { ...made, type: 'completed' }, json, receipt);

/** What is stored in place of an answer. */
export function errorMessage(
  job: Job,
  made: Made,
  error: SpillwayError,
  receipt: Record<string, string> = {},
): ResultMessage {
  const { code, message, reason = '' } = error;
  const json = Buffer.from(JSON.stringify({ error: { code, message: cut(message), reason } }));
  return resultMessage(job, { ...made, type: 'failed' }, json, {
    ...receipt,
    ...errorHeaders(error),
    ...(job.requestId && { [HEADERS.requestId]: job.requestId }),
    [NATS_HEADERS.serviceError]: headerText(message),
    [NATS_HEADERS.serviceErrorCode]: String(CATALOGUE[code].http),
  });
}

function resultMessage(
  job: Job,
  of: Omit<ResultEvent, 'id' | 'trace'>,
  json: Uint8Array,
  receipt: Record<string, string>,
): ResultMessage {
  const trace = traceOf(job);
  const encoded = job.event
    ? encodeResultEvent(job.event, { id: job.job, trace, ...of }, json)
    : { payload: json, headers: {} };
  return {
    subject: resultSubject(job.tenant, job.job),
    msgId: jobKey(job),
    payload: encoded.payload,
    headers: { ...receipt, ...trace, ...encoded.headers },
    replyTo: job.replyTo ?? '',
  };
}

/** Whoever reads the result can go on with the trace of who asked. */
function traceOf({ traceparent, tracestate = '' }: Job): Record<string, string> {
  if (traceparent === '') return {};
  return { [HEADERS.traceparent]: traceparent, ...(tracestate !== '' && { [HEADERS.tracestate]: tracestate }) };
}

/** `event`: as it was published, with its headers. `job`: its `WorkFrame`; published on its jobs subject it runs again. */
export type DeadLetter = {
  form: 'event' | 'job';
  /** Undefined: it is gone. */
  payload: Uint8Array | undefined;
  /** Of an event: those that it needs to be read again. */
  headers?: Record<string, string>;
  /** Undefined: nobody could read its result. */
  job: string | undefined;
  originSubject: string;
  originSeq: number;
  deliveries: number;
  error: SpillwayError;
  msgId: string;
};

/** What a server counts into its `max_payload` beside the payload. */
export const HEADER_BYTES = 16 * 1_024;
/** Of the headers that an event brings; ours are short. */
const MAX_EVENT_HEADER_BYTES = 8 * 1_024;

/**
 * @param maxPayload Of the server. What exceeds it with its headers is cut: it was refused for its size, and cannot be replayed.
 */
export function deadLetterMessage(letter: DeadLetter, maxPayload: number): StreamMessage {
  const { error, job, headers = {}, payload } = letter;
  const given = Object.entries(headers);
  const wholeHeaders =
    given.every(([, value]) => !/[\r\n]/.test(value)) &&
    given.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 4, 0) <= MAX_EVENT_HEADER_BYTES;
  const maxBytes = maxPayload - HEADER_BYTES;
  const whole = wholeHeaders && (payload?.byteLength ?? 0) <= maxBytes;
  return {
    subject: dlqSubject(error.code),
    msgId: letter.msgId,
    payload: payload?.subarray(0, maxBytes) ?? new Uint8Array(),
    headers: {
      ...(wholeHeaders && headers),
      ...(job !== undefined && { [HEADERS.job]: job }),
      [HEADERS.letter]: payload === undefined ? 'none' : whole ? letter.form : 'cut',
      [HEADERS.error]: error.code,
      [HEADERS.reason]: headerText(error.reason ?? ''),
      [HEADERS.originSubject]: headerText(letter.originSubject),
      [HEADERS.originSeq]: String(letter.originSeq),
      [HEADERS.deliveries]: String(letter.deliveries),
      [NATS_HEADERS.serviceError]: headerText(error.message),
    },
  };
}

/** The dead letter of a job. @param frame Its message in the jobs stream; undefined: it is gone. */
export const deadJob = (
  job: Job,
  error: SpillwayError,
  frame: Uint8Array | undefined,
  deliveries: number,
): DeadLetter => ({
  form: 'job',
  payload: frame,
  job: job.job,
  originSubject: job.originSubject,
  originSeq: job.originSeq ?? 0,
  deliveries,
  error,
  msgId: `dlq.${jobKey(job)}`, // a crash before the end of the job must not make a second copy
});
