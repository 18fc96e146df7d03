import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Bus } from './bus.ts';
import { clientOf } from './connect.ts';
import type { StoredMessage } from './nats-client.ts';

export type { StoredMessage } from './nats-client.ts';

/** Single messages of the streams, for those who look things up and do not consume. All throw `UNAVAILABLE`. */
export type StoredMessages = {
  /** The last one of a subject; undefined: there is none. */
  last(stream: string, subject: string): Promise<StoredMessage | undefined>;
  /** The one at this place; undefined: it is not there (any more). */
  at(stream: string, seq: number): Promise<StoredMessage | undefined>;
  /** Takes it out. @returns False if it was not there. */
  remove(stream: string, seq: number): Promise<boolean>;
};

export function storedMessages(bus: Bus): StoredMessages {
  const client = () => {
    if (bus.up) return clientOf(bus);
    throw new SpillwayError('UNAVAILABLE', 'the message bus is away', { reason: 'bus', retryAfterMs: 1_000 });
  };
  return {
    last: async (stream, subject) => client().stored(stream, { last_by_subj: subject }),
    at: async (stream, seq) => client().stored(stream, { seq }),
    remove: async (stream, seq) => client().remove(stream, seq),
  };
}
