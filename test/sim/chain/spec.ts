import type { KeyRecord, ModelRecord } from '@spillway/contracts/buckets';
import type { Simulation } from '../engine/simulation.ts';

/** T(rows) = baseMs + rowMs · rows. */
export type RunTimes = { baseMs: number; rowMs: number };

export type SimModel = RunTimes & {
  name: string;
  maxRows: number;
  deadlineMs: number;
  variants?: Record<string, RunTimes>;
  /** What the catalogue says beyond that. */
  record?: Partial<ModelRecord>;
};

/** Mechanisms that can be switched off, by the names of the command line. */
export const MECHANISMS = [
  'g1',
  'g2',
  'g3',
  'g4',
  'bound',
  'age',
  'expired',
  'staging',
  'floor',
  'gamma',
  'brownout',
  'budget',
] as const;
export type Mechanism = (typeof MECHANISMS)[number];

/** What a request costs the only thread of a gateway: accepted, refused at the door, refused after its body was read. */
export type GatewayCpu = { acceptMs: number; refuseMs: number; refuseReadMs: number };

/** The mesh as it is, which its policies do not see. */
export type ChainSpec = {
  models: readonly SimModel[];
  keys: readonly KeyRecord[];
  gateways: number;
  batchers: number;
  /** Each runs one batch at a time and serves all models, or those that `serves` names. */
  instances: number;
  serves?: (instance: number) => readonly string[];
  /** One way between two processes; each message takes up to `jitterMs` more. */
  hopMs: number;
  jitterMs: number;
  /** How long the requests of a gateway gather in a frame. */
  turnMs: number;
  /** Further delay of state messages, and a time in which there are none. */
  stateDelayMs: number;
  silent?: { fromMs: number; toMs: number };
  /** Run times vary uniformly by ± this share. */
  noise: number;
  /** What batchers say their capacity is, and workers their run times, as a factor of what they measured. */
  believed: { capacity: number; runTime: number };
  cpu?: GatewayCpu;
  /** Features are joined before a request queues: uniform between the two. */
  features?: { fromMs: number; toMs: number };
  off: ReadonlySet<Mechanism>;
};

/** Two batchers, four instances, as in the simulations that the defaults come from. */
export const defaultModel: SimModel = { name: 'm', baseMs: 4, rowMs: 0.5, maxRows: 32, deadlineMs: 200 };

export const defaultChain: ChainSpec = {
  models: [defaultModel],
  keys: [],
  gateways: 3,
  batchers: 2,
  instances: 4,
  hopMs: 0.3,
  jitterMs: 0.1,
  turnMs: 0.5,
  stateDelayMs: 0,
  noise: 0.05,
  believed: { capacity: 1, runTime: 1 },
  off: new Set(),
};

export const runMsOf = ({ baseMs, rowMs }: RunTimes, rows: number): number => baseMs + rowMs * rows;

/** Rows per ms of one instance with full batches. */
export const rowRate = (model: SimModel): number => model.maxRows / runMsOf(model, model.maxRows);

/** Random numbers of one part, so that one part's draws do not shift another's. */
export type Draw = () => number;

export type World = { sim: Simulation; spec: ChainSpec; draw: (part: string) => Draw };

/** The catalogue's entry of a simulated model. */
export function recordOf(model: SimModel): ModelRecord {
  return {
    model: model.name,
    versions: ['1'],
    platform: 'simulated',
    backend: 'simulated',
    maxBatchSize: model.maxRows,
    inputs: [{ name: 'x', datatype: 'FP32', dims: [1] }],
    outputs: [{ name: 'y', datatype: 'FP32', dims: [1] }],
    defaultDeadlineMs: model.deadlineMs,
    maxDeadlineMs: 60_000,
    runLimitMs: 60_000,
    costRule: 'rows',
    provider: 'simulated',
    ...(model.variants && {
      variants: Object.keys(model.variants).map((name) => ({ name })),
      degradeTo: Object.keys(model.variants),
    }),
    ...model.record,
  };
}
