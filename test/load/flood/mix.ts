import type { TrafficClass } from '@spillway/contracts/classes';
import type { Kind } from '@spillway/load/kind';
import { constantRate, type Profile } from '@spillway/load/profile';

export type Keys = Readonly<Record<TrafficClass, string>>;

export type MixOptions = {
  model: string;
  keys: Keys;
  /** Requests/s that the target serves. */
  capacity: number;
  /** What is offered, as a multiple of capacity. */
  times: number;
  deadlineMs: number;
  retry?: Kind['retry'] | undefined;
  protocol?: Kind['protocol'] | undefined;
  /** Of each request. */
  rows?: number | undefined;
  /** Rungs that callers take. Default: wait, so that goodput is counted in answers of full quality. */
  accept?: string | undefined;
};

/** Of what is offered, at most; and of capacity, at most: more cannot be promised to the highest class. */
const VIP_OF_OFFERED = 0.1;
const VIP_OF_CAPACITY = 0.5;

/** The mix of the overload scenarios: vip a tenth of what is offered but at most half of capacity, standard to bulk as 60 to 30. */
export function floodMix(options: MixOptions): Kind[] {
  const {
    model,
    keys,
    capacity,
    times,
    deadlineMs,
    retry = { kind: 'none' },
    protocol = 'http',
    accept = 'wait',
    rows = 1,
  } = options;
  const offered = capacity * times;
  const vip = Math.min(VIP_OF_OFFERED * offered, VIP_OF_CAPACITY * capacity);
  const rest = offered - vip;
  const weights: Record<TrafficClass, number> = { vip, standard: (rest * 2) / 3, bulk: rest / 3 };
  return (Object.keys(weights) as TrafficClass[]).map((trafficClass) => ({
    name: trafficClass,
    weight: weights[trafficClass],
    phaseWeights: {},
    model,
    protocol,
    trafficClass,
    key: keys[trafficClass],
    tenant: 'test',
    deadlineMs: [{ value: deadlineMs, weight: 1 }],
    rows,
    accept,
    retry,
    cancel: undefined,
    headers: {},
  }));
}

/** Ordinary requests of one kind alone. */
export function standardKind(options: Omit<MixOptions, 'capacity' | 'times'>): Kind {
  const kind = floodMix({ ...options, capacity: 1, times: 1 }).find(({ name }) => name === 'standard');
  if (kind === undefined) throw new Error('bug: a mix has this class');
  return kind;
}

/** Share of the highest class in what is offered. */
export const vipShare = (times: number): number => Math.min(VIP_OF_OFFERED, VIP_OF_CAPACITY / times);

export const CALM = 'calm';
export const FLOOD = 'flood';
export const AFTER = 'after';
/** Of capacity. */
export const CALM_LOAD = 0.7;

/** 0.7 of capacity, then the flood, then 0.7 again. */
export const stepProfile = (
  { capacity, times }: Pick<MixOptions, 'capacity' | 'times'>,
  seconds: { calm: number; flood: number; after: number },
): Profile => [
  { label: CALM, pieces: constantRate(CALM_LOAD * capacity, seconds.calm * 1_000) },
  { label: FLOOD, pieces: constantRate(times * capacity, seconds.flood * 1_000) },
  { label: AFTER, pieces: constantRate(CALM_LOAD * capacity, seconds.after * 1_000) },
];
