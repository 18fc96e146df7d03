import { NatsClient, type RawMessage } from '@spillway/bus/nats-client';
import { HEADERS, NATS_HEADERS } from '@spillway/contracts/headers';
import { eventsSubject, resultSubject } from '@spillway/contracts/subjects';
import { type Answer, type Attempt, failed, type Transport } from './attempt.ts';
import type { Payload } from './payload.ts';
import { answered, notAnswered } from './receipt.ts';
import { requestHeaders } from './request-headers.ts';

export type EventsTarget = {
  /** nats://host:port */
  url: string;
  tenants: readonly string[];
  /** Part of the names of this run's jobs. */
  runId: string;
};

const INBOX_PREFIX = '_INBOX_load';

/**
 * Publishes requests as events. JetStream's acknowledgement says that an event was accepted; its result is the answer, so
 * latency is that of the durable job. Deadlines are the client's: a job takes as long as it takes.
 */
export async function eventsTransport(
  target: EventsTarget,
  payloadOf: (kindIndex: number) => Payload,
): Promise<Transport> {
  const client = await NatsClient.connect({ url: target.url, name: 'spillway-load', inboxPrefix: INBOX_PREFIX });
  const open = new Map<string, { input: number; payload: Payload; onEnd: (answer: Answer) => void }>();
  const inbox = client.inbox();
  let jobs = 0;
  const end = (job: string, answer: (input: number, payload: Payload) => Answer): void => {
    const entry = open.get(job);
    if (entry === undefined) return;
    open.delete(job);
    entry.onEnd(answer(entry.input, entry.payload));
  };
  client.subscribe(`${inbox}.*`, (message) => {
    const refusal = refusalOf(message);
    if (refusal !== undefined) end(lastToken(message.subject), () => refusal);
  });
  for (const tenant of target.tenants) {
    client.subscribe(allResults(tenant), (message) =>
      end(lastToken(message.subject), (input, payload) => resultOf(message, payload, input)),
    );
  }
  await client.flush(); // the subscriptions are known to the server before the first event is
  const send = (attempt: Attempt, onEnd: (answer: Answer) => void): (() => void) => {
    const { kind, input } = attempt;
    const payload = payloadOf(attempt.kindIndex);
    jobs += 1;
    const job = `load-${target.runId}-${jobs}`;
    open.set(job, { input, payload, onEnd });
    const { authorization: _, ...headers } = requestHeaders(kind, false); // a key has no place in a stream
    client.publish(eventsSubject(kind.tenant, kind.model), Buffer.from(payload.json(input)), `${inbox}.${job}`, {
      ...headers,
      [HEADERS.job]: job,
      [NATS_HEADERS.msgId]: job,
    });
    return () => void open.delete(job);
  };
  return { send, connections: 1, close: () => client.drain() };
}

/** The subject of a result without its last name, and a wildcard for that. */
const allResults = (tenant: string): string => resultSubject(tenant, 'job').replace(/job$/, '*');

const lastToken = (subject: string): string => subject.slice(subject.lastIndexOf('.') + 1);

const NO_RESPONDERS = 503;

/** Undefined for an acknowledgement that accepts. */
function refusalOf(message: RawMessage): Answer | undefined {
  if (message.code === NO_RESPONDERS) return failed('no stream takes events');
  const ack = parse(message.payload) as { error?: { err_code?: number; description?: string } } | undefined;
  if (ack === undefined) return failed('unreadable acknowledgement');
  if (ack.error === undefined) return undefined;
  return { ...failed(ack.error.description ?? 'refused by the stream'), end: 'refused' };
}

function resultOf(message: RawMessage, payload: Payload, input: number): Answer {
  const field = (name: string): string => message.header(name) ?? '';
  if (message.header(NATS_HEADERS.serviceError) !== undefined) {
    const { error } = (parse(message.payload) ?? {}) as { error?: { code?: string } };
    return notAnswered(field, { refused: false, text: error?.code ?? field(NATS_HEADERS.serviceErrorCode) });
  }
  return answered(field, payload.isWrongJson(Buffer.from(message.payload).toString('utf8'), input));
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
