/** A deadline, a class, and what to do about a refusal. `node examples/under-load.ts http://127.0.0.1:8000` */
import { SpillwayClient, SpillwayClientError } from '@spillway/client';

await using client = new SpillwayClient({ url: process.argv[2] ?? 'http://127.0.0.1:8000' });

/** As much at a time as the model can do in a second, if nobody else asks. */
const calls = Array.from({ length: 300 }, (_, n) =>
  client.infer<{ y: Float32Array }>('simulated', { x: [n] }, { timeoutMs: 1_000, class: 'bulk' }),
);
const counts: Record<string, number> = {};
for (const end of await Promise.allSettled(calls)) {
  const what = end.status === 'fulfilled' ? 'answered' : whyNot(end.reason);
  counts[what] = (counts[what] ?? 0) + 1;
}
console.log(counts);

/** The code says what to do; the client has already repeated what could help within the deadline. */
function whyNot(error: unknown): string {
  if (!(error instanceof SpillwayClientError)) throw error;
  switch (error.code) {
    case 'OVERLOADED':
    case 'QUOTA_EXCEEDED':
      return `refused (${error.reason}): come back later`;
    case 'DEADLINE_EXCEEDED':
      return 'too late';
    default:
      throw error;
  }
}
