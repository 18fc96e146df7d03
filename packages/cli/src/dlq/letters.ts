import type { Bus } from '@spillway/bus/bus';
import { readMessage, type StreamEntry } from '@spillway/bus/stream-messages';
import { HEADERS, NATS_HEADERS } from '@spillway/contracts/headers';
import { type WorkFrame, workFrameCodec } from '@spillway/contracts/messages';
import { DLQ_STREAM } from '@spillway/contracts/streams';
import { ALL_DEAD_LETTERS, dlqSubject, parseEventsSubject, tenantOfEvent } from '@spillway/contracts/subjects';

/** What could not be done, as it lies in the dead letters. `seq` is its place there. */
export type Letter = {
  seq: number;
  timeMs: number;
  code: string;
  reason: string;
  message: string;
  /** `event` and `job` can be replayed; `cut` and `none` are not whole. */
  form: string;
  tenant: string;
  job: string;
  model: string;
  deliveries: number;
  originSubject: string;
  originSeq: number;
  headers: Record<string, string>;
  payload: Uint8Array;
  /** Of a `job`, if it can be read. */
  frame: WorkFrame | undefined;
};

const subjectOf = (code: string | undefined): string => (code === undefined ? ALL_DEAD_LETTERS : dlqSubject(code));

export function letterOf({ seq, timeMs, headers, payload }: StreamEntry): Letter {
  const form = headers[HEADERS.letter] ?? 'none';
  const frame = form === 'job' ? readFrame(payload) : undefined;
  const job = frame?.items[0]?.job;
  const originSubject = headers[HEADERS.originSubject] ?? '';
  return {
    seq,
    timeMs,
    form,
    code: headers[HEADERS.error] ?? '',
    reason: headers[HEADERS.reason] ?? '',
    message: headers[NATS_HEADERS.serviceError] ?? '',
    tenant: job?.tenant ?? tenantOfEvent(originSubject) ?? '',
    job: headers[HEADERS.job] ?? '',
    model: frame?.model ?? parseEventsSubject(originSubject)?.model ?? '',
    deliveries: Number(headers[HEADERS.deliveries] ?? 0),
    originSubject,
    originSeq: Number(headers[HEADERS.originSeq] ?? 0),
    headers,
    payload,
    frame,
  };
}

function readFrame(payload: Uint8Array): WorkFrame | undefined {
  try {
    return workFrameCodec.decode(payload);
  } catch {
    return undefined;
  }
}

export async function readLetter(bus: Bus, seq: number): Promise<Letter | undefined> {
  const found = await readMessage(bus, DLQ_STREAM, { seq });
  return found && letterOf(found);
}

/** Oldest first: those that are there now, and none that come while they are read. */
export async function* lettersOf(bus: Bus, code: string | undefined): AsyncGenerator<Letter> {
  const last = await readMessage(bus, DLQ_STREAM, { last: subjectOf(code) });
  let seq = 1;
  while (last !== undefined && seq <= last.seq) {
    const found = await readMessage(bus, DLQ_STREAM, { next: subjectOf(code), seq });
    if (found === undefined || found.seq > last.seq) return;
    yield letterOf(found);
    seq = found.seq + 1;
  }
}

/** What people and programs see of it: the tensors of a job stay out. */
export function shown(letter: Letter): Record<string, unknown> {
  const { headers: _, payload, frame, timeMs, ...facts } = letter;
  return { ...facts, at: new Date(timeMs).toISOString(), bytes: payload.byteLength, class: frame?.trafficClass };
}
