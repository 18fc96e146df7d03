import { NATS_HEADERS } from '@spillway/contracts/headers';
import { type DeadLetter, deadLetterMessage, type ResultMessage } from '@spillway/contracts/job-messages';
import { RESULTS_STREAM } from '@spillway/contracts/streams';
import { isSpillwayError } from '@spillway/errors/spillway-error';
import type { Bus } from './bus.ts';
import { readMessage } from './stream-messages.ts';

/** `first`: it is what is stored now. `failed` is of what is stored, whoever wrote it. */
export type StoredResult = { first: boolean; failed: boolean };

const isFailure = (headers: Record<string, string>): boolean => NATS_HEADERS.serviceErrorCode in headers;

/**
 * Stores the result of a job, unless there is one: the first writer wins. Then publishes what is stored where the job's
 * publisher wants it too, at least once as long as its job is delivered.
 * @throws SpillwayError when it may not be stored.
 */
export async function storeResult(bus: Bus, result: ResultMessage): Promise<StoredResult> {
  const { subject, msgId, payload, headers, replyTo } = result;
  const first = await bus.publishToStream(subject, payload, { msgId, headers }).then(
    ({ duplicate }) => !duplicate,
    (thrown: unknown) => {
      if (isSpillwayError(thrown) && thrown.code === 'CONFLICT') return false;
      throw thrown;
    },
  );
  const stored = first ? result : await readMessage(bus, RESULTS_STREAM, { last: subject });
  if (stored === undefined) return { first, failed: isFailure(headers) }; // its time in the stream is over
  publishCopy(bus, stored, subject, replyTo);
  return { first, failed: isFailure(stored.headers) };
}

/** Publishes the stored result of a job on one more subject, if there is one yet. @throws SpillwayError `UNAVAILABLE`. */
export async function repeatResult(bus: Bus, subject: string, replyTo: string): Promise<void> {
  const stored = await readMessage(bus, RESULTS_STREAM, { last: subject });
  if (stored !== undefined) publishCopy(bus, stored, subject, replyTo);
}

function publishCopy(
  bus: Bus,
  { payload, headers }: Pick<ResultMessage, 'payload' | 'headers'>,
  subject: string,
  replyTo: string,
): void {
  if (replyTo === '' || replyTo === subject) return;
  const { [NATS_HEADERS.msgId]: _, ...others } = headers;
  bus.publish(replyTo, payload, { headers: others });
}

/** Keeps a copy of what could not be done. @throws SpillwayError when the stream does not take it. */
export async function bury(bus: Bus, letter: DeadLetter): Promise<void> {
  const { subject, msgId, payload, headers } = deadLetterMessage(letter, bus.maxPayload);
  await bus.publishToStream(subject, payload, { msgId, headers });
}
