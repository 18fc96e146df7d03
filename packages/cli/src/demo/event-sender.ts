import { NatsClient } from '@spillway/bus/nats-client';
import { HEADERS, NATS_HEADERS } from '@spillway/contracts/headers';
import { eventsSubject, resultSubject } from '@spillway/contracts/subjects';
import type { InferBody, JsonTensor } from '../door.ts';
import type { Sender } from './sender.ts';

const TIMEOUT_MS = 30_000;

/** Publishes requests as events of a tenant and waits for the stored result of the job that each becomes. */
export async function openEventSender(url: string, tenant: string): Promise<Sender> {
  const client = await NatsClient.connect({ url, name: 'spillway-demo', inboxPrefix: '_INBOX_demo' });
  let jobs = 0;
  return {
    infer: async (model: string, body: InferBody) => {
      jobs += 1;
      const job = `demo-${Date.now().toString(36)}-${jobs}`;
      const payload = Buffer.from(JSON.stringify(body));
      const headers = { [HEADERS.job]: job, [NATS_HEADERS.msgId]: job };
      return firstMessage(client, resultSubject(tenant, job), () =>
        client.publish(eventsSubject(tenant, model), payload, undefined, headers),
      );
    },
    close: () => client.close(),
  };
}

/** Subscribes, then sends, then waits. @throws Error with the result's own error, or when none came in time. */
function firstMessage(client: NatsClient, subject: string, send: () => void): Promise<JsonTensor[]> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer);
      subscription.stop();
      settle();
    };
    const subscription = client.subscribe(subject, (message) => {
      const failed = message.header(NATS_HEADERS.serviceError);
      if (failed !== undefined) return end(() => reject(new Error(failed)));
      const { outputs } = JSON.parse(Buffer.from(message.payload).toString('utf8')) as { outputs: JsonTensor[] };
      return end(() => resolve(outputs));
    });
    const timer = setTimeout(() => end(() => reject(new Error(`no result within ${TIMEOUT_MS} ms`))), TIMEOUT_MS);
    client.flush().then(send, reject); // the subscription is known to the server before the event is
  });
}
