import type { Bus } from '@spillway/bus/bus';
import { resultSubject } from '@spillway/contracts/subjects';
import type { JobAddress } from '../core/event-envelope.ts';
import type { JobView } from '../core/job-view.ts';
import type { RunningJobs } from '../core/running-jobs.ts';

/** A message passes by before its stream has it. */
const STORED_WITHIN_MS = [5, 20, 50, 100, 200] as const;
/** A batcher that dies does not say that its jobs run no more. */
const STILL_RUNNING_MS = 500;

export type JobWait = {
  address: JobAddress;
  waitMs: number;
  signal?: AbortSignal | undefined;
  /** What is waited for; undefined: there is no such job. */
  holds: (view: JobView | undefined) => boolean;
  /** Also looks when a worker begins the job, or has lost it. */
  starts: boolean;
};

export type WatchedJobs = {
  bus: Pick<Bus, 'subscribe'>;
  running: Pick<RunningJobs, 'has' | 'watch'>;
  view(address: JobAddress): Promise<JobView | undefined>;
};

/**
 * Looks at a job when something may have become of it, until `holds` says so, the time is over or `signal` is aborted. It is looked
 * at through the streams and not through what passes by: that may be missed.
 * @returns The job as it is then.
 */
export async function waitForJob({ bus, running, view }: WatchedJobs, wait: JobWait): Promise<JobView | undefined> {
  const { address, waitMs, signal, holds, starts } = wait;
  const passed = Promise.withResolvers<void>();
  const timers: NodeJS.Timeout[] = [setTimeout(passed.resolve, waitMs)];
  let latest: JobView | undefined;
  const look = async (): Promise<void> => {
    latest = await view(address).catch(() => latest);
    if (holds(latest)) passed.resolve();
  };
  const lookSoon = (): void => {
    for (const ms of STORED_WITHIN_MS) timers.push(setTimeout(look, ms));
  };
  const results = bus.subscribe(resultSubject(address.tenant, address.job), lookSoon);
  const stops = [() => results.stop()];
  signal?.addEventListener('abort', () => passed.resolve());
  try {
    latest = await view(address);
    if (holds(latest) || signal?.aborted) return latest;
    lookSoon(); // it may have passed by before the first look
    const seq = latest?.record?.seq;
    if (starts && seq !== undefined) {
      stops.push(running.watch(seq, look));
      const lost = setInterval(() => {
        if (latest?.state === 'running' && !running.has(seq)) void look();
      }, STILL_RUNNING_MS);
      stops.push(() => clearInterval(lost));
    }
    await passed.promise;
    return holds(latest) ? latest : await view(address);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    for (const stop of stops) stop();
  }
}
