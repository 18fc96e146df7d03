import { CLASSES } from '@spillway/contracts/classes';
import type { Dispatcher } from './dispatcher.ts';
import type { Work } from './work.ts';

/**
 * Gives frames back to JetStream, to be pulled where they can run. `untouched`: only those of which nothing was dispatched yet.
 * What is on its last delivery, or has been acknowledged, stays. @returns how many frames went back.
 */
export function handBack(dispatcher: Dispatcher, model: string, which: 'all' | 'untouched'): number {
  const goesBack = ({ frame }: Work): boolean =>
    frame.held && !frame.lastDelivery && (which === 'all' || frame.waiting === frame.requests);
  const gone = dispatcher.queues(model)?.remove(goesBack) ?? [];
  const frames = new Set(gone.map(({ frame }) => frame));
  for (const frame of frames) dispatcher.frames.handBack(frame);
  return frames.size;
}

/** Takes out the requests that `handBack` had to leave, whose frame is acknowledged or on its last delivery: they need a new message. */
export function takeStranded(dispatcher: Dispatcher, model: string): Work[] {
  const stranded = dispatcher.queues(model)?.requests.remove(({ frame }) => !frame.held || frame.lastDelivery) ?? [];
  dispatcher.drop(stranded);
  return stranded;
}

/** Takes out the jobs that `handBack` had to leave: they are on their last delivery and need a new message. */
export function takeStrandedJobs(dispatcher: Dispatcher, model: string): Work[] {
  const jobs = dispatcher.queues(model)?.jobs.remove(({ frame }) => frame.lastDelivery) ?? [];
  for (const { frame } of jobs) dispatcher.frames.leave(frame);
  return jobs;
}

/**
 * The bus is away: what waits here synchronously was failed by its gateway, or will be delivered again. (After a restart of the
 * server an acknowledgement would hit another message: a memory stream counts from the beginning.) Jobs stay, and requests that
 * are acknowledged and wait to run again.
 */
export function forgetRequests(dispatcher: Dispatcher, nowMs: number): Work[] {
  const forgotten: Work[] = [];
  for (const [, queues] of dispatcher.models()) {
    forgotten.push(...queues.requests.remove(({ frame }) => frame.held));
    for (const rank of CLASSES.keys()) queues.meter.observePending(rank, 0, nowMs);
  }
  for (const frame of dispatcher.frames.all()) if (!frame.durable) dispatcher.frames.leave(frame);
  return forgotten;
}
