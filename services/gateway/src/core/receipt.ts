import type { ReplyFrame } from '@spillway/contracts/messages';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { type Entry, markDegraded } from './entry.ts';
import type { Answer, CacheOutcome, Receipt } from './request.ts';
import { decodeTensors } from './tensor-codec.ts';

/** What the gateway itself knows about an answer. */
export type Known = {
  model: { model: string };
  version: string;
  cache: CacheOutcome;
  variant: string;
  degraded: string;
  attempts: number;
};

/** Of an answer that no worker gave. */
export const emptyReceipt = ({ version, cache, degraded }: Pick<Known, 'version' | 'cache' | 'degraded'>): Receipt => ({
  rung: 'run',
  cache,
  version,
  variant: '',
  queueMs: 0,
  runMs: 0,
  batchId: '',
  batchRows: 0,
  closedBy: '',
  worker: '',
  attempts: 1,
  degraded,
});

/** How an event ends that has become a job: its answer, and what is known of it, is the worker's to store. */
export const ticket = (version: string): Receipt => ({
  ...emptyReceipt({ version, cache: 'bypass', degraded: '' }),
  rung: 'ticket',
});

/** Refused for lack of capacity, which may come back, or failed. */
export const rungOf = ({ code }: SpillwayError): 'refused' | 'failed' =>
  code === 'OVERLOADED' || code === 'QUOTA_EXCEEDED' || code === 'UNAVAILABLE' ? 'refused' : 'failed';

/** A wait that a person would not notice is no wait: the batch was simply forming. */
const WAITED_MS = 5;

export const answerOf = (known: Known, frame: ReplyFrame, tensors: Uint8Array, queueMs: number): Answer => ({
  model: known.model.model,
  outputs: decodeTensors(tensors),
  receipt: {
    rung: known.variant !== '' ? 'degraded' : queueMs > WAITED_MS ? 'wait' : 'run',
    cache: known.cache,
    version: frame.version,
    variant: frame.variant,
    queueMs,
    runMs: frame.runMs,
    batchId: frame.batchId,
    batchRows: frame.batchRows,
    closedBy: frame.closedBy,
    worker: frame.worker,
    attempts: known.attempts,
    degraded: known.degraded,
  },
});

/** An answer that the cache had. `stale`: it is older than the model's owner wants it to be. */
export function answerFound(entry: Entry, { value, stale }: { value: Uint8Array; stale: boolean }): Answer {
  entry.cache = stale ? 'stale' : 'hit';
  if (stale) markDegraded(entry, 'stale');
  return { model: entry.model.model, outputs: decodeTensors(value), receipt: emptyReceipt(entry) };
}
