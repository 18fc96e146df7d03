import type { ModelRecord } from '@spillway/contracts/buckets';
import { HEADERS } from '@spillway/contracts/headers';
import { CliError } from '../context.ts';
import { type Answer, type Door, errorText, type InferBody, type ModelMetadata } from '../door.ts';
import { bodyFromData, InputError } from '../infer-input.ts';
import type { Line } from './lines.ts';
import type { PoliteCaller } from './polite.ts';
import type { Pace, Progress } from './time.ts';

export type CacheResult = { sent: number; hit: number; stored: number; failed: number; faults: string[] };

const CONNECTIONS = 4;
const FAULTS_KEPT = 3;
const BULK = { [HEADERS.trafficClass]: 'bulk' };

/** @throws CliError: the answers of this model are not kept. */
export function checkCached({ model, responseCache }: ModelRecord): void {
  if (responseCache !== undefined) return;
  throw new CliError(`the answers of ${model} are not cached`, [
    `Its model.yaml needs: response_cache: { enable: true }`,
  ]);
}

/** Sends every request once, as class bulk, so that its answer lies in the cache. The key's tenant is the one it is kept for. */
export async function preheatCache(
  lines: AsyncIterator<Line>,
  to: { door: Door; model: ModelMetadata },
  by: { pace: Pace; caller: PoliteCaller; progress: Progress },
): Promise<CacheResult> {
  const result: CacheResult = { sent: 0, hit: 0, stored: 0, failed: 0, faults: [] };
  const worker = async () => {
    try {
      await sendAll();
    } catch (error) {
      await lines.return?.(); // the others stop too
      throw error;
    }
  };
  const sendAll = async () => {
    for (;;) {
      const { value: line, done } = await lines.next();
      if (done) return;
      const body = bodyOf(line, to.model);
      await by.pace.turn();
      const answer = await by.caller.call(() => to.door.infer(to.model.name, body, BULK));
      count(result, line, answer);
      by.progress.at(() => `${result.sent} requests: ${outcome(result)}`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return result;
}

/** `12 were there, 88 are new, 0 failed`. */
export const outcome = ({ hit, stored, failed }: CacheResult): string =>
  `${hit} were there, ${stored} are new, ${failed} failed`;

function bodyOf({ number, text }: Line, model: ModelMetadata): InferBody {
  try {
    return bodyFromData(JSON.parse(text), model);
  } catch (error) {
    if (!(error instanceof InputError || error instanceof SyntaxError)) throw error;
    throw new CliError(`line ${number}: ${error.message}`, [], 2);
  }
}

function count(result: CacheResult, { number }: Line, answer: Answer): void {
  result.sent += 1;
  if (answer.status !== 200) {
    result.failed += 1;
    if (result.faults.length < FAULTS_KEPT) result.faults.push(`line ${number}: ${errorText(answer)}`);
  } else if (answer.headers[HEADERS.cache] === 'hit') result.hit += 1;
  else result.stored += 1;
}
