import type { Bus } from '@spillway/bus/bus';
import { deleteMessage, readMessage, type StreamEntry } from '@spillway/bus/stream-messages';
import { isTrafficClass } from '@spillway/contracts/classes';
import { HEADERS, NATS_HEADERS } from '@spillway/contracts/headers';
import { workFrameCodec } from '@spillway/contracts/messages';
import { isName } from '@spillway/contracts/names';
import { DLQ_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { jobsSubject, parseEventsSubject, resultSubject } from '@spillway/contracts/subjects';
import { isSpillwayError } from '@spillway/errors/spillway-error';
import type { Letter } from './letters.ts';

/** Undefined: it can be replayed. */
export function hindrance({ code, form, frame, originSubject, tenant, job }: Letter): string | undefined {
  if (code === 'CONFLICT') return 'the name of its job is another request’s: publish it under a name of its own';
  if (form === 'cut') return 'only a part of it was kept: it was too large';
  if (form === 'event') return parseEventsSubject(originSubject) ? undefined : 'its subject names no tenant and model';
  const isWhole = frame !== undefined && isTrafficClass(frame.trafficClass) && isName(tenant) && isName(job);
  return isWhole ? undefined : 'what was asked is not in it';
}

/** Headers of the dead letter itself; the others are the event's. */
const OWN = new Set<string>([
  HEADERS.letter,
  HEADERS.error,
  HEADERS.reason,
  HEADERS.originSubject,
  HEADERS.originSeq,
  HEADERS.deliveries,
  ...Object.values(NATS_HEADERS),
]);

/**
 * Publishes it again, under the name that it had, and takes it from the dead letters. The error that was stored for it goes first:
 * else the new result would be the second; it comes back if the mesh does not take the letter. Who dies in between can replay it
 * once more.
 * @returns What came of it. `full`: its subject holds as many messages as it may. @throws SpillwayError when the mesh does not take it.
 */
export async function replay(bus: Bus, letter: Letter): Promise<'replayed' | 'answered' | 'full'> {
  const { tenant, job, seq } = letter;
  const stored = await readMessage(bus, RESULTS_STREAM, { last: resultSubject(tenant, job) });
  if (stored !== undefined && !(NATS_HEADERS.serviceErrorCode in stored.headers)) return 'answered';
  if (stored !== undefined) await deleteMessage(bus, RESULTS_STREAM, stored.seq);
  try {
    await publishAgain(bus, letter);
  } catch (thrown) {
    if (stored !== undefined) await putBack(bus, stored);
    if (isSpillwayError(thrown) && thrown.code === 'CONFLICT') return 'full';
    throw thrown;
  }
  await deleteMessage(bus, DLQ_STREAM, seq);
  return 'replayed';
}

/** Without its message id: by that the stream would take it for the one that was there before, and drop it. */
async function putBack(bus: Bus, { subject, payload, headers: { [NATS_HEADERS.msgId]: _, ...headers } }: StreamEntry) {
  await bus.publishToStream(subject, payload, { headers });
}

async function publishAgain(bus: Bus, { seq, frame, headers, originSubject, payload }: Letter): Promise<void> {
  if (frame === undefined) {
    const events = Object.entries(headers).filter(([name]) => !OWN.has(name));
    await bus.publishToStream(originSubject, payload, {
      headers: { ...Object.fromEntries(events), [HEADERS.replay]: String(seq) },
    });
    return;
  }
  const { trafficClass, model, items } = frame;
  const job = items[0]?.job;
  if (!isTrafficClass(trafficClass) || !job) throw new Error('bug: what cannot be replayed was not left out');
  job.replay = seq;
  await bus.publishToStream(jobsSubject(trafficClass, model), workFrameCodec.encode(frame));
}
