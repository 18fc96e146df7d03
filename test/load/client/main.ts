import { type GrpcLoad, runGrpcLoad } from './grpc-load.ts';
import { type HttpLoad, runHttpLoad } from './http-load.ts';
import { type Inputs, makeInputs } from './inputs.ts';
import type { LoadResult } from './tally.ts';

/** The load client as a process of its own, so that its CPU is counted apart; it makes its inputs once for all runs. */
export type LoadJob = ({ kind: 'http' } & HttpLoad) | ({ kind: 'grpc' } & GrpcLoad);
export type ClientJob = { kind: 'prepare'; inputs: number; model: string } | LoadJob;
export type ClientAnswer = { result?: LoadResult; error?: string };

let inputs: Inputs | undefined;

async function run(job: ClientJob): Promise<ClientAnswer> {
  if (job.kind === 'prepare') {
    inputs = await makeInputs(job.inputs, job.model);
    return {};
  }
  if (inputs === undefined) throw new Error('prepare comes first');
  return { result: await (job.kind === 'http' ? runHttpLoad(job, inputs) : runGrpcLoad(job, inputs)) };
}

process.on('message', (job: ClientJob) => {
  run(job).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.once('disconnect', () => process.exit(0));
