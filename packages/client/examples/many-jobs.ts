/** A night's work as jobs: handed over with progress, fetched when they are done. `node examples/many-jobs.ts http://127.0.0.1:8000` */
import { type Job, type JobRequest, SpillwayClient } from '@spillway/client';

await using client = new SpillwayClient({ url: process.argv[2] ?? 'http://127.0.0.1:8000' });

/** Made as they are needed: a file or a table may be larger than the memory. */
function* night(): Generator<JobRequest> {
  for (let n = 0; n < 400; n += 1) yield { model: 'mlp', inputs: { x: new Float32Array(64).fill(n / 400) } };
}

const jobs: Job<{ y: Float32Array }>[] = [];
for await (const { index, job, error } of client.jobs.submitAll<{ y: Float32Array }>(night(), { class: 'bulk' })) {
  if (error !== undefined) console.log(`request ${index}: ${error.code}: ${error.message}`);
  else if (jobs.push(job) % 100 === 0) console.log(`${jobs.length} of 400 handed over`);
}

const results = await Promise.all(jobs.slice(-10).map((job) => job.result({ timeoutMs: 30_000 })));
console.log(`${results.length} results, the last is ${results.at(-1)?.outputs.y.data[0]?.toFixed(3)}`);
