import { LoadError } from './load-error.ts';
import { constantRate } from './profile.ts';
import { parseProfile } from './profile-text.ts';
import { readDuration, readNumber, readRate } from './quantity.ts';
import { type ReplayPlan, windowAroundPeak } from './replay.ts';
import type { ArrivalProcess, LoadPlan } from './schedule.ts';
import type { Trace } from './trace-csv.ts';

/** Texts of flags that say when requests are due. */
export type PlanTexts = {
  rate?: string;
  /** How long `rate` holds. */
  for?: string;
  profile?: string;
  /** `poisson`, `constant` or `gamma:0.25`. */
  process?: string;
  /** `10m..70m`, or `peak:60m`. */
  window?: string;
  speed?: string;
  amount?: string;
  peak?: string;
};

const OF_RATES = ['rate', 'for', 'profile', 'process'] as const;
const OF_TRACES = ['window', 'speed', 'amount', 'peak'] as const;

/** @param trace With its name. @throws LoadError naming the flag. */
export function planOfTexts(
  texts: PlanTexts,
  capacity: number | undefined,
  trace?: { name: string; trace: Trace },
): LoadPlan {
  const foreign = (trace ? OF_RATES : OF_TRACES).find((name) => texts[name] !== undefined);
  if (foreign !== undefined) throw new LoadError(`--${foreign} ${trace ? 'does not go with' : 'goes with'} --trace`);
  if (trace !== undefined) {
    return { trace: trace.trace, label: trace.name, replay: replayOf(texts, trace.trace, capacity) };
  }
  const process = readProcess(texts.process ?? 'poisson');
  if ((texts.rate === undefined) === (texts.profile === undefined)) {
    throw new LoadError('expected one of --rate, --profile and --trace');
  }
  if (texts.profile !== undefined) {
    if (texts.for !== undefined) throw new LoadError('--for goes with --rate: a profile has its own times');
    return { profile: parseProfile(texts.profile, capacity), process };
  }
  const rate = readRate(texts.rate ?? '', '--rate', capacity);
  const forMs = readDuration(texts.for ?? '30s', '--for');
  return { profile: [{ label: 'load', pieces: constantRate(rate, forMs) }], process };
}

function readProcess(text: string): ArrivalProcess {
  if (text === 'poisson' || text === 'constant') return text;
  if (text.startsWith('gamma:')) return { gamma: readNumber(text.slice(6), '--process', { min: 0.01, max: 100 }) };
  throw new LoadError(`--process: expected poisson, constant or gamma:<shape>, got "${text}"`);
}

function replayOf(texts: PlanTexts, trace: Trace, capacity: number | undefined): ReplayPlan {
  if (texts.amount !== undefined && texts.peak !== undefined)
    throw new LoadError('expected --amount or --peak, got both');
  const factor = (text: string, what: string): number => readNumber(text, what, { min: 1e-6, max: 1e6 });
  return {
    ...(texts.window !== undefined && { window: windowOf(texts.window, trace) }),
    ...(texts.speed !== undefined && { speed: factor(texts.speed, '--speed') }),
    ...(texts.amount !== undefined && { amount: factor(texts.amount, '--amount') }),
    ...(texts.peak !== undefined && { peakPerSecond: readRate(texts.peak, '--peak', capacity) }),
  };
}

function windowOf(text: string, trace: Trace): { fromMs: number; toMs: number } {
  if (text.startsWith('peak:')) return windowAroundPeak(trace, readDuration(text.slice(5), '--window'));
  const [from = '', to = ''] = text.split('..', 2);
  const fromMs = from === '0' ? 0 : readDuration(from, '--window');
  const toMs = readDuration(to, '--window');
  if (fromMs < toMs) return { fromMs, toMs };
  throw new LoadError(`--window: expected a begin before the end, got "${text}"`);
}
