import { CLASSES, isTrafficClass } from '@spillway/contracts/classes';
import type { Choice, Kind, Protocol, RetryPolicy } from './kind.ts';
import { PROTOCOLS } from './kind.ts';
import { LoadError } from './load-error.ts';
import { readDuration, readNumber } from './quantity.ts';

/** Texts of flags; those with a group in front (`vip=200,bulk=400`) hold for that group. */
export type MixTexts = {
  /** `vip=10,standard=60,bulk=30`. Default: one group without a class. */
  mix?: string;
  /** `sk_…` for all, or `vip=sk_…`; several. */
  keys?: readonly string[];
  /** Milliseconds; `80/400` draws one of them. */
  deadlineMs?: string;
  retry?: string;
  /** `5%@20ms` */
  cancel?: string;
  accept?: string;
  rows?: string;
};

export type MixDefaults = { model: string; protocol: Protocol; tenant: string };

const MAX_TRIES = 100;
const DEFAULT_DEADLINE_MS = 1_000;
const DAY_MS = 86_400_000;

/** Kinds of a mix that stands in flags. @throws LoadError naming the flag. */
export function mixOfTexts(texts: MixTexts, defaults: MixDefaults): Kind[] {
  const parts = (texts.mix ?? '').split(',').filter((part) => part !== '');
  const named = parts.map((part) => {
    const [name = '', weight = ''] = part.split('=', 2);
    return { name: name.trim(), weight: readNumber(weight, `mix, ${name}`, { min: 0, max: 1e9 }) };
  });
  if (named.length === 0) named.push({ name: defaults.model, weight: 1 });
  const names = named.map(({ name }) => name);
  const perGroup = <T>(text: string | undefined, what: string, read: (text: string) => T, fallback: T) =>
    readPerGroup(text === undefined ? [] : text.split(','), { names, what, read, fallback });
  const keys = readPerGroup(texts.keys ?? [], { names, what: 'key', read: readKey, fallback: undefined });
  const deadlines = perGroup(texts.deadlineMs, 'deadline-ms', readDeadline, [
    { value: DEFAULT_DEADLINE_MS, weight: 1 },
  ]);
  const retries = perGroup<RetryPolicy>(texts.retry, 'retry', readRetry, { kind: 'none' });
  const cancels = perGroup<Kind['cancel']>(texts.cancel, 'cancel', readCancel, undefined);
  const rows = perGroup(texts.rows, 'rows', (text) => readNumber(text, 'rows', { min: 1, max: 4_096 }), 1);
  return named.map(({ name, weight }) => ({
    ...defaults,
    name,
    weight,
    phaseWeights: {},
    trafficClass: isTrafficClass(name) ? name : undefined,
    key: keys(name),
    deadlineMs: deadlines(name),
    rows: rows(name),
    accept: texts.accept,
    retry: retries(name),
    cancel: cancels(name),
    headers: {},
  }));
}

type Reading<T> = { names: readonly string[]; what: string; read: (text: string) => T; fallback: T };

/** `x` for all groups, `name=x` for one. */
function readPerGroup<T>(parts: readonly string[], { names, what, read, fallback }: Reading<T>): (name: string) => T {
  let all = fallback;
  const own = new Map<string, T>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    if (equals < 0) {
      all = read(part);
      continue;
    }
    const name = part.slice(0, equals).trim();
    if (!names.includes(name))
      throw new LoadError(`${what}: expected one of ${names.join(', ')} before "=", got "${name}"`);
    own.set(name, read(part.slice(equals + 1)));
  }
  return (name) => (own.has(name) ? (own.get(name) as T) : all);
}

const readKey = (text: string): string | undefined => text.trim();

function readDeadline(text: string): Choice<number> {
  return text.split('/').map((one) => ({ value: readNumber(one, 'deadline-ms', { min: 1, max: DAY_MS }), weight: 1 }));
}

/** `none`, `naive:4`, `obey`, `budget:3`: what a client does, and its tries at most. */
export function readRetry(text: string): RetryPolicy {
  const [kind = '', tries = '2'] = text.trim().split(':', 2);
  if (kind === 'none') return { kind };
  if (kind === 'naive' || kind === 'obey' || kind === 'budget') {
    return { kind, tries: readNumber(tries, `retry, ${kind}`, { min: 1, max: MAX_TRIES }) };
  }
  throw new LoadError(`retry: expected none, naive:<tries>, obey or budget:<tries>, got "${text}"`);
}

/** `5%@20ms`: a share of the requests is given up so long after it was sent. */
export function readCancel(text: string): { probability: number; afterMs: number } {
  const [, percent = '', after = ''] = /^([\d.]+)%@(.+)$/.exec(text.trim()) ?? [];
  if (after === '') throw new LoadError(`cancel: expected a share and a time such as 5%@20ms, got "${text}"`);
  return {
    probability: readNumber(percent, 'cancel', { min: 0, max: 100 }) / 100,
    afterMs: readDuration(after, 'cancel'),
  };
}

/** @throws LoadError */
export function readProtocol(text: string): Protocol {
  const known = PROTOCOLS.find((protocol) => protocol === text);
  if (known !== undefined) return known;
  throw new LoadError(`protocol: expected one of ${PROTOCOLS.join(', ')}, got "${text}"`);
}

/** Names of groups that are classes, highest first, then the others as they came. */
export const groupOrder = (names: readonly string[]): string[] => {
  const rank = (name: string): number => (isTrafficClass(name) ? CLASSES.indexOf(name) : CLASSES.length);
  return [...names].sort((a, b) => rank(a) - rank(b));
};
