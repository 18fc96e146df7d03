/** Work that may wait: submitted as a job, looked at while it runs. `node examples/job.ts http://127.0.0.1:8000` */
import { SpillwayClient } from '@spillway/client';

await using client = new SpillwayClient({ url: process.argv[2] ?? 'http://127.0.0.1:8000' });

const texts = ['my card has not arrived yet', 'why was I charged a fee'];
const job = await client.submit<{ label: string[] }>(
  'intent',
  { text: texts },
  { idempotencyKey: 'letters-of-monday' },
);
console.log(`job ${job.id}; this program may end now, and ask again with client.jobs.get`);

for await (const { state } of job.events()) console.log(state);

const { outputs } = await job.result();
console.log(outputs.label.data.join(', '));
