import type { IdempotencyRecord, KeptAnswer } from '@spillway/contracts/buckets';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { emptyReceipt } from './receipt.ts';
import type { Answer } from './request.ts';
import { decodeTensors, encodeTensors } from './tensor-codec.ts';

/** Of tensors, before base64: a record travels and lies in JSON. */
const MOST_KEPT_BYTES = 256 * 1_024;
/** A gateway that has not said after the budget of a request what became of it will not say it any more. */
const MARGIN_MS = 2_000;

export const keyConflict = (message: string): SpillwayError =>
  new SpillwayError('CONFLICT', message, { reason: 'idempotency_key' });

/** What a request finds that comes with a key which was used before. */
export type Found = { answer: Answer } | 'runs' | 'free';

/**
 * @param ageMs Since the record was written. @returns `runs`: at some gateway; `free`: nobody is at it, it may be run again.
 * @throws SpillwayError `CONFLICT`: the key is another request's.
 */
export function foundOf(record: IdempotencyRecord, digest: string, ageMs: number): Found {
  if (record.digest !== digest) throw keyConflict('idempotency-key: expected the request that it was first used with');
  if (record.answer !== undefined) return { answer: answerOf(record.answer) };
  return record.unkept === true || ageMs > record.budgetMs + MARGIN_MS ? 'free' : 'runs';
}

/** The record of a request that has its answer. */
export function keep({ digest, budgetMs }: IdempotencyRecord, { model, outputs, receipt }: Answer): IdempotencyRecord {
  const tensors = encodeTensors(outputs);
  if (tensors.byteLength > MOST_KEPT_BYTES) return { digest, budgetMs, unkept: true };
  const { version, variant, degraded } = receipt;
  const answer = { model, version, variant, degraded, tensors: Buffer.from(tensors).toString('base64') };
  return { digest, budgetMs, answer };
}

function answerOf({ model, version, variant, degraded, tensors }: KeptAnswer): Answer {
  const receipt = { ...emptyReceipt({ version, cache: 'hit', degraded }), variant };
  return { model, outputs: decodeTensors(Buffer.from(tensors, 'base64')), receipt };
}

/** The answer of a request for those that came with its key while it ran. */
export const joined = (answer: Answer): Answer => ({ ...answer, receipt: { ...answer.receipt, cache: 'joined' } });
