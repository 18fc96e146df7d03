/** A request as a durable event over NATS: it is kept until its result is stored. `node examples/event.ts nats://127.0.0.1:8010` */
import { SpillwayClient } from '@spillway/client';

const [url = 'nats://127.0.0.1:8010', http = 'http://127.0.0.1:8000'] = process.argv.slice(2);
await using client = new SpillwayClient({ url, http, tenant: 'acme' });

// Run it again: under the same key nothing runs a second time, and the stored result is the answer.
const { outputs } = await client.infer<{ probability: Float32Array }>(
  'credit-risk',
  { client_id: ['111'] },
  { idempotencyKey: 'client-111', timeoutMs: 30_000 },
);
console.log(`client 111: ${outputs.probability.data[0]}`);
