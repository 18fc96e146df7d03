import type { Bus } from '@spillway/bus/bus';
import { clientOf } from '@spillway/bus/connect';
import { readMessage } from '@spillway/bus/stream-messages';

/** What lies in a stream: a look that takes nothing away. */

/** Number of messages in the stream; a work queue loses a message by its `ack` or `term`. */
export async function messagesIn(bus: Bus, stream: string): Promise<number> {
  const manager = await clientOf(bus).manager();
  return (await manager.streams.info(stream)).state.messages;
}

export type ConsumerState = { num_pending: number; num_ack_pending: number; num_redelivered: number };

export async function consumerOf(bus: Bus, stream: string, durable: string): Promise<ConsumerState> {
  const manager = await clientOf(bus).manager();
  return manager.consumers.info(stream, durable);
}

export type Stored = { seq: number; payload: Buffer; headers: Record<string, string> };

/** Undefined: the subject holds nothing. */
export async function lastOf(bus: Bus, stream: string, subject: string): Promise<Stored | undefined> {
  const found = await readMessage(bus, stream, { last: subject });
  return found && { seq: found.seq, payload: found.payload, headers: found.headers };
}
