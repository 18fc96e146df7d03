import { DLQ_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { eventsSubject } from '@spillway/contracts/subjects';
import { connect, createInbox, DeliverPolicy, type JsMsg, type Msg, headers as newHeaders } from 'nats';

export type StoredResult = { subject: string; header(name: string): string; body: Record<string, unknown> };
export type DeadLetter = { subject: string; header(name: string): string; text: string };

/**
 * A publisher of events who reads results and dead letters as they are stored, with the plain NATS client as anybody has it. Who
 * listens to their subjects alone also hears second results, which the stream refuses.
 */
export async function connectPublisher(url: string, tenant: string) {
  const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const js = nc.jetstream();
  const results: StoredResult[] = [];
  const dead: DeadLetter[] = [];
  const waiting = new Set<() => void>();
  const told = (m: Msg | JsMsg) => ({
    subject: m.subject,
    header: (name: string) => m.headers?.get(name) ?? '',
    text: m.string(),
  });
  const follow = async (stream: string, subject: string, take: (m: ReturnType<typeof told>) => void): Promise<void> => {
    const from = { filterSubjects: subject, deliver_policy: DeliverPolicy.New };
    const stored = await (await js.consumers.get(stream, from)).consume();
    void nc.closed().then(() => stored.stop());
    void (async () => {
      for await (const m of stored) {
        take(told(m));
        for (const look of waiting) look();
      }
    })();
  };
  await follow(RESULTS_STREAM, `spillway.v1.results.${tenant}.>`, ({ text, ...m }) =>
    results.push({ ...m, body: JSON.parse(text) }),
  );
  await follow(DLQ_STREAM, 'spillway.v1.dlq.>', (m) => dead.push(m));

  const until = (done: () => boolean, timeoutMs = 60_000): Promise<void> =>
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
      return js.publish(eventsSubject(tenant, model), payload, { headers: all, timeout: 30_000 });
    },
    /** An inbox of this client, and the first result that comes there. */
    listen: () => {
      const subject = createInbox();
      const got = Promise.withResolvers<StoredResult>();
      nc.subscribe(subject, {
        callback: (_error, m) => {
          const { text, ...rest } = told(m);
          got.resolve({ ...rest, body: JSON.parse(text) });
        },
      });
      return { subject, next: () => got.promise };
    },
    jobOf: (result: StoredResult): string => result.subject.split('.').at(-1) ?? '',
    [Symbol.asyncDispose]: () => nc.close(),
  };
}
