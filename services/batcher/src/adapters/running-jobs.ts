import type { Bus } from '@spillway/bus/bus';
import { parseAckSubject } from '@spillway/bus/pull';
import { runningJobsCodec } from '@spillway/contracts/messages';
import { runningSubject } from '@spillway/contracts/subjects';
import type { InFlightBatches } from '../core/in-flight.ts';

const PERIOD_MS = 50;

/**
 * Says which jobs workers run now, so that whoever looks at one learns that it has started. All of them in one message at a fixed
 * rate: what it costs does not grow with the number of jobs, and a job that is gone from the next message runs no more.
 */
export function publishRunningJobs(bus: Bus, inFlight: Pick<InFlightBatches, 'running'>): Disposable {
  let told = false;
  const timer = setInterval(() => {
    const seqs: number[] = [];
    for (const { work } of inFlight.running()) {
      for (const { frame } of work) {
        if (frame.durable) seqs.push(parseAckSubject(frame.message.ackSubject).streamSeq);
      }
    }
    if (seqs.length > 0 || told) {
      bus.publish(runningSubject(bus.instance), runningJobsCodec.encode({ batcher: bus.instance, seqs }));
    }
    told = seqs.length > 0;
  }, PERIOD_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
