import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Bus } from './bus.ts';

/** Single messages of a stream, by their place: looked at and deleted without a consumer. */

/** `timeMs`: when the server stored it, ms since the epoch. Header names as they were written. */
export type StreamEntry = {
  seq: number;
  subject: string;
  payload: Uint8Array;
  headers: Record<string, string>;
  timeMs: number;
};

/** `next`: the first from this place on, of this subject (wildcards are allowed). */
export type Which = { seq: number } | { last: string } | { next: string; seq: number };

/** Where a durable consumer stands; `floor` and `delivered` are places in its stream. */
export type ConsumerState = {
  filter: string;
  pending: number;
  unacknowledged: number;
  floor: number;
  delivered: number;
};

const TIMEOUT_MS = 3_000;
const NO_MESSAGE = 10_037;
const SEQ_NOT_FOUND = 10_043;

type ApiError = { error?: { err_code?: number; description?: string } };

/** @throws SpillwayError `UNAVAILABLE`. An error of JetStream itself is in the answer. */
async function ask<T>(bus: Bus, subject: string, body: object): Promise<T & ApiError> {
  const unavailable = (what: string) => new SpillwayError('UNAVAILABLE', what, { reason: 'bus', retryAfterMs: 1_000 });
  const answer = Promise.withResolvers<T & ApiError>();
  const inbox = bus.inbox();
  const subscription = bus.subscribe(inbox, ({ payload }) => {
    if (payload.byteLength === 0)
      answer.reject(unavailable('JetStream does not answer')); // no responders
    else answer.resolve(JSON.parse(Buffer.from(payload).toString()) as T & ApiError);
  });
  const timer = setTimeout(() => answer.reject(unavailable('JetStream did not answer in time')), TIMEOUT_MS);
  try {
    const sent = bus.publish(`$JS.API.${subject}`, Buffer.from(JSON.stringify(body)), { reply: inbox });
    if (!sent) throw unavailable('the message bus is away');
    return await answer.promise;
  } finally {
    clearTimeout(timer);
    subscription.stop();
  }
}

const refused = (stream: string, { error }: ApiError): SpillwayError =>
  new SpillwayError('UNAVAILABLE', `stream ${stream}: ${error?.description ?? 'no answer'}`, { reason: 'bus' });

function readHeaders(base64: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  const lines = Buffer.from(base64 ?? '', 'base64')
    .toString()
    .split('\r\n');
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon)] = line.slice(colon + 1).trim();
  }
  return headers;
}

/** Undefined: there is none. @throws SpillwayError `UNAVAILABLE`. */
export async function readMessage(bus: Bus, stream: string, which: Which): Promise<StreamEntry | undefined> {
  type Found = { message?: { subject: string; seq: number; hdrs?: string; data?: string; time: string } };
  const query =
    'last' in which
      ? { last_by_subj: which.last }
      : 'next' in which
        ? { seq: which.seq, next_by_subj: which.next }
        : { seq: which.seq };
  const answer = await ask<Found>(bus, `STREAM.MSG.GET.${stream}`, query);
  if (answer.error?.err_code === NO_MESSAGE) return undefined;
  if (answer.message === undefined) throw refused(stream, answer);
  const { subject, seq, hdrs, data, time } = answer.message;
  const payload = Buffer.from(data ?? '', 'base64');
  return { seq, subject, payload, headers: readHeaders(hdrs), timeMs: Date.parse(time) };
}

/** Whether it was there. @throws SpillwayError `UNAVAILABLE`. */
export async function deleteMessage(bus: Bus, stream: string, seq: number): Promise<boolean> {
  const answer = await ask<{ success?: boolean }>(bus, `STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true });
  const code = answer.error?.err_code;
  if (code === NO_MESSAGE || code === SEQ_NOT_FOUND) return false;
  if (answer.error) throw refused(stream, answer);
  return true;
}

/** All consumers of the stream. @throws SpillwayError `UNAVAILABLE`. */
export async function readConsumers(bus: Bus, stream: string): Promise<ConsumerState[]> {
  type Info = {
    config: { filter_subject?: string };
    num_pending: number;
    num_ack_pending: number;
    ack_floor: { stream_seq: number };
    delivered: { stream_seq: number };
  };
  const found: ConsumerState[] = [];
  for (;;) {
    const offset = found.length;
    const page = await ask<{ total?: number; consumers?: Info[] }>(bus, `CONSUMER.LIST.${stream}`, { offset });
    if (page.error) throw refused(stream, page);
    const consumers = page.consumers ?? [];
    for (const { config, num_pending, num_ack_pending, ack_floor, delivered } of consumers) {
      found.push({
        filter: config.filter_subject ?? '>',
        pending: num_pending,
        unacknowledged: num_ack_pending,
        floor: ack_floor.stream_seq,
        delivered: delivered.stream_seq,
      });
    }
    if (consumers.length === 0 || found.length >= (page.total ?? 0)) return found;
  }
}
