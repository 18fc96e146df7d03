import type { Metric } from 'prom-client';
import type { Labels, Sample, Series } from './metric-series.ts';

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export type FamilyOptions<S extends Series> = {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  labelNames: readonly string[];
  create: (labels: Labels) => S;
  /** Runs before each render. */
  collect?: (() => void) | undefined;
};

/** Series by label values, one level a label; at the last the series itself. */
type Branch<S> = Map<string, Branch<S> | S>;

/** The time series of one metric, found by their label values. */
export class MetricFamily<S extends Series> {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator = 'sum';
  readonly #labelNames: readonly string[];
  readonly #create: (labels: Labels) => S;
  readonly #collect: (() => void) | undefined;
  readonly #root: Branch<S> = new Map();
  readonly #series: S[] = [];

  /** @throws Error on a name or label that Prometheus would refuse: found at start, not at the first scrape. */
  constructor({ name, help, type, labelNames, create, collect }: FamilyOptions<S>) {
    if (!NAME.test(name)) throw new Error(`expected a metric name of letters, digits, "_" and ":", got "${name}"`);
    for (const label of labelNames) {
      if (!LABEL.test(label) || label === 'le')
        throw new Error(`metric ${name}: expected a label of letters, digits and "_" other than "le", got "${label}"`);
    }
    this.name = name;
    this.help = help;
    this.type = type;
    this.#labelNames = labelNames;
    this.#create = create;
    this.#collect = collect;
    if (labelNames.length === 0) this.bind({}); // a metric without labels is there from the start, with 0
  }

  /**
   * The series of these label values. Walks a map a label, which costs a quarter of joining the values to one key,
   * because strings keep their hash. Hot paths hold on to what comes back all the same.
   */
  bind(labels: Labels): S {
    let node: Branch<S> | S | undefined = this.#root;
    for (const label of this.#labelNames) {
      node = (node as Branch<S>).get(labels[label] as string);
      if (node === undefined) return this.#add(labels);
    }
    if (node instanceof Map) return this.#series[0] ?? this.#add(labels); // no labels: there is only one
    return node;
  }

  #add(labels: Labels): S {
    const own: { [label: string]: string } = {};
    for (const label of this.#labelNames) {
      const value = labels[label];
      if (value === undefined) throw new Error(`bug: metric ${this.name} needs a value for its label "${label}"`);
      own[label] = value;
    }
    const series = this.#create(own);
    this.#series.push(series);
    const path = Object.values(own);
    const last = path.pop();
    if (last === undefined) return series;
    let branch = this.#root;
    for (const value of path) {
      const next = (branch.get(value) as Branch<S> | undefined) ?? new Map();
      branch.set(value, next);
      branch = next;
    }
    branch.set(last, series);
    return series;
  }

  reset(): void {
    this.#root.clear();
    this.#series.length = 0;
  }

  /** What prom-client's registry calls to render. */
  async get(): Promise<Pick<this, 'name' | 'help' | 'type' | 'aggregator'> & { values: Sample[] }> {
    this.#collect?.();
    const values = this.#series.flatMap((series) => series.samples(this.name));
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }

  /** prom-client types its registry by its own classes; of a metric it uses `name` and `get`, which are public. */
  asMetric(): Metric {
    return this as unknown as Metric;
  }
}
