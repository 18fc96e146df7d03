import type { Bus } from '@spillway/bus/bus';

/** What lies in a stream, asked of JetStream's own interface: a look that takes nothing away. */

async function ask<T>(bus: Bus, subject: string, body: object = {}): Promise<T> {
  const answer = Promise.withResolvers<T>();
  const inbox = bus.inbox();
  const subscription = bus.subscribe(inbox, ({ payload }) => answer.resolve(JSON.parse(String(Buffer.from(payload)))));
  const timer = setTimeout(() => answer.reject(new Error(`no answer from ${subject}`)), 3_000);
  try {
    if (!bus.publish(subject, Buffer.from(JSON.stringify(body)), { reply: inbox })) throw new Error('the bus is down');
    return await answer.promise;
  } finally {
    clearTimeout(timer);
    subscription.stop();
  }
}

/** Number of messages in the stream; a work queue loses a message by its `ack` or `term`. */
export async function messagesIn(bus: Bus, stream: string): Promise<number> {
  const info = await ask<{ state: { messages: number } }>(bus, `$JS.API.STREAM.INFO.${stream}`);
  return info.state.messages;
}

export type ConsumerState = { num_pending: number; num_ack_pending: number; num_redelivered: number };

export const consumerOf = (bus: Bus, stream: string, durable: string): Promise<ConsumerState> =>
  ask(bus, `$JS.API.CONSUMER.INFO.${stream}.${durable}`);

export type Stored = { seq: number; payload: Buffer; headers: Record<string, string> };

/** Undefined: the subject holds nothing. */
export async function lastOf(bus: Bus, stream: string, subject: string): Promise<Stored | undefined> {
  const { message } = await ask<{ message?: { seq: number; data?: string; hdrs?: string } }>(
    bus,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    { last_by_subj: subject },
  );
  if (message === undefined) return undefined;
  const lines = Buffer.from(message.hdrs ?? '', 'base64')
    .toString()
    .split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon)] = line.slice(colon + 1).trim();
  }
  return { seq: message.seq, payload: Buffer.from(message.data ?? '', 'base64'), headers };
}
