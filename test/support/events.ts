import { eventsSubject } from '@spillway/contracts/subjects';
import { connect, createInbox, headers as newHeaders } from 'nats';

export type StoredResult = { subject: string; header(name: string): string; body: Record<string, unknown> };
export type DeadLetter = { subject: string; header(name: string): string; text: string };

/** A publisher of events who reads results, with the plain NATS client as anybody has it. */
export async function connectPublisher(url: string, tenant: string) {
  const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const js = nc.jetstream();
  const results: StoredResult[] = [];
  const dead: DeadLetter[] = [];
  const waiting = new Set<() => void>();
  const read = (subject: string, take: (m: { subject: string; header(name: string): string; text: string }) => void) =>
    nc.subscribe(subject, {
      callback: (_error, m) => {
        take({ subject: m.subject, header: (name) => m.headers?.get(name) ?? '', text: m.string() });
        for (const look of waiting) look();
      },
    });
  read(`spillway.v1.results.${tenant}.>`, ({ text, ...m }) => results.push({ ...m, body: JSON.parse(text) }));
  read('spillway.v1.dlq.>', (m) => dead.push(m));
  await nc.flush();

  const until = (done: () => boolean, timeoutMs = 15_000): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!done()) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.delete(look);
        reject(new Error(`${results.length} results and ${dead.length} dead letters within ${timeoutMs} ms`));
      }, timeoutMs);
      waiting.add(look);
      look();
    });

  return {
    results,
    dead,
    until,
    /** Resolves when JetStream has accepted the event. */
    publish: async (model: string, payload: string | Uint8Array, headers: Record<string, string> = {}) => {
      const all = newHeaders();
      for (const [name, value] of Object.entries(headers)) all.set(name, value);
      return js.publish(eventsSubject(tenant, model), payload, { headers: all, timeout: 5_000 });
    },
    /** An inbox of this client, and the first result that comes there. */
    listen: () => {
      const subject = createInbox();
      const got = Promise.withResolvers<StoredResult>();
      read(subject, ({ text, ...m }) => got.resolve({ ...m, body: JSON.parse(text) }));
      return { subject, next: () => got.promise };
    },
    jobOf: (result: StoredResult): string => result.subject.split('.').at(-1) ?? '',
    [Symbol.asyncDispose]: () => nc.close(),
  };
}
