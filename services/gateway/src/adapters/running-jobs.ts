import type { Bus } from '@spillway/bus/bus';
import { decodeSignal } from '@spillway/bus/decode-signal';
import { runningJobsCodec } from '@spillway/contracts/messages';
import { ALL_RUNNING } from '@spillway/contracts/subjects';
import type { Clock } from '@spillway/lifecycle/clock';
import { RunningJobs } from '../core/running-jobs.ts';

/** What the batchers say of the jobs that run, for as long as the bus is open. */
export function listenToRunningJobs(bus: Bus, clock: Clock): RunningJobs {
  const running = new RunningJobs(clock);
  bus.subscribe(ALL_RUNNING, ({ payload }) => {
    const told = decodeSignal(runningJobsCodec, payload);
    if (told !== undefined) running.hear(told.batcher, told.seqs);
  });
  return running;
}
