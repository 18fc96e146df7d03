/** What can be switched off, to see what it is worth. `age`: the state of the mesh is used as it was reported. */
export type Mechanism = 'guard' | 'quota' | 'fair_rate' | 'predicted_finish' | 'queue_bound' | 'age' | 'brownout';

/** Lists by rank: vip, standard, bulk. */
export type AdmissionSettings = {
  off: readonly Mechanism[];
  /** Share of its remaining budget that the prediction for a request may use. */
  budgetShare: readonly number[];
  /** Share of capacity that a class has even when higher ones want all of it. */
  floor: readonly number[];
  /** Share of what is free that a class may take. */
  ceiling: readonly number[];
  /** Kept for the way there and back until it is measured. */
  hopMs: number;
  /** Requests per second that this gateway's doors let in, by rank. */
  doorRate: readonly number[];
  /** Pressure at which each level of brown-out begins. */
  levels: readonly number[];
};

export const DEFAULT_SETTINGS: AdmissionSettings = {
  off: [],
  budgetShare: [1, 0.7, 0.4],
  floor: [0, 0, 0.03],
  ceiling: [0.95, 1, 1],
  hopMs: 2,
  doorRate: [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  levels: [1, 1.5, 2, 3],
};

export type AdmissionOptions = {
  random: () => number;
  /** Of this gateway, as its own load states are signed. */
  instance: string;
  settings?: Partial<AdmissionSettings>;
  nowMs: number;
};
