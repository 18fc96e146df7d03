import type { Bus } from './bus.ts';
import { away, clientOf } from './connect.ts';
import { apiCode, type StoredMessage, type StreamManager, unavailable } from './nats-client.ts';

/** Single messages of a stream, by their place: looked at and deleted without a consumer. */

/** `timeMs`: when the server stored it, ms since the epoch. Header names as they were written. */
export type StreamEntry = {
  seq: number;
  subject: string;
  payload: Buffer;
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

const NO_MESSAGE = 10_037;
const SEQ_NOT_FOUND = 10_043;

/** @throws SpillwayError `UNAVAILABLE`, at once while the bus is away. */
async function onStream<T>(bus: Bus, stream: string, ask: (manager: StreamManager) => Promise<T>): Promise<T> {
  if (!bus.up) throw away();
  try {
    return await ask(await clientOf(bus).manager());
  } catch (cause) {
    throw unavailable(`stream ${stream} could not be asked`, cause);
  }
}

function toEntry({ seq, subject, data: { buffer, byteOffset, byteLength }, header, time }: StoredMessage): StreamEntry {
  const headers = Object.fromEntries(header.keys().map((name) => [name, header.last(name)]));
  return { seq, subject, payload: Buffer.from(buffer, byteOffset, byteLength), headers, timeMs: time.getTime() };
}

/** Undefined: there is none. @throws SpillwayError `UNAVAILABLE`. */
export function readMessage(bus: Bus, stream: string, which: Which): Promise<StreamEntry | undefined> {
  const query =
    'last' in which
      ? { last_by_subj: which.last }
      : 'next' in which
        ? { seq: which.seq, next_by_subj: which.next }
        : { seq: which.seq };
  return onStream(bus, stream, async (manager) => {
    try {
      return toEntry(await manager.streams.getMessage(stream, query));
    } catch (thrown) {
      if (apiCode(thrown) === NO_MESSAGE) return undefined;
      throw thrown;
    }
  });
}

/** Whether it was there. @throws SpillwayError `UNAVAILABLE`. */
export function deleteMessage(bus: Bus, stream: string, seq: number): Promise<boolean> {
  return onStream(bus, stream, async (manager) => {
    try {
      return await manager.streams.deleteMessage(stream, seq, false);
    } catch (thrown) {
      const code = apiCode(thrown);
      if (code === NO_MESSAGE || code === SEQ_NOT_FOUND) return false;
      throw thrown;
    }
  });
}

/** All consumers of the stream. @throws SpillwayError `UNAVAILABLE`. */
export function readConsumers(bus: Bus, stream: string): Promise<ConsumerState[]> {
  return onStream(bus, stream, async (manager) => {
    const found: ConsumerState[] = [];
    for await (const { config, num_pending, num_ack_pending, ack_floor, delivered } of manager.consumers.list(stream)) {
      found.push({
        filter: config.filter_subject ?? '>',
        pending: num_pending,
        unacknowledged: num_ack_pending,
        floor: ack_floor.stream_seq,
        delivered: delivered.stream_seq,
      });
    }
    return found;
  });
}
