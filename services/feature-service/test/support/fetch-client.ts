import {
  FEATURES_METHOD,
  type FeatureFetch,
  type FeatureRows,
  type FetchRequest,
  type FetchResponse,
  VALUE_STATUS,
} from '@spillway/contracts/messages';
import { numericView } from '@spillway/contracts/tensor';
import { type DialledDuplex, dialDuplex } from '@spillway/rpc/duplex';

export type Rows = { values: number[][]; status: string[][] };

/** A gateway's end of the stream: one question at a time, or many in one message. Without a budget the sources' limits count. */
export type FetchClient = AsyncDisposable & {
  stream: DialledDuplex<FetchRequest>;
  /** Messages received so far. */
  messages(): number;
  fetch(fetch: Partial<FeatureFetch>): Promise<FeatureRows>;
  fetchAll(fetches: Partial<FeatureFetch>[]): Promise<FeatureRows[]>;
  /** Resolves when the stream has gone down for the first time: what was asked and not answered will not be. */
  down: Promise<undefined>;
};

export async function dialFeatures(address: string): Promise<FetchClient> {
  const waiting = new Map<number, (rows: FeatureRows) => void>();
  let lastId = 0;
  let messages = 0;
  const up = Promise.withResolvers<void>();
  const down = Promise.withResolvers<undefined>();
  const stream = dialDuplex<FetchResponse, FetchRequest>({
    address,
    method: FEATURES_METHOD,
    connectTimeoutMs: 60_000, // a pause of this process is no peer that says nothing
    onUp: () => up.resolve(),
    onDown: () => down.resolve(undefined),
    onMessage: ({ results }) => {
      messages += 1;
      for (const rows of results) {
        waiting.get(rows.id)?.(rows);
        waiting.delete(rows.id);
      }
    },
  });
  await up.promise;
  const fetchAll = (fetches: Partial<FeatureFetch>[]) => {
    const complete = fetches.map((fetch): FeatureFetch => {
      lastId += 1;
      return { views: ['monthly', 'profile'], entities: [], budgetMs: 0, traceparent: '', ...fetch, id: lastId };
    });
    const answers = complete.map(({ id }) => new Promise<FeatureRows>((resolve) => waiting.set(id, resolve)));
    if (!stream.send({ fetches: complete })) throw new Error('the stream did not take the message');
    return Promise.all(answers);
  };
  return {
    stream,
    messages: () => messages,
    fetchAll,
    fetch: async (fetch) => (await fetchAll([fetch]))[0]!,
    down: down.promise,
    [Symbol.asyncDispose]: () => stream.close(),
  };
}

/** Rows of one view as a person reads them. */
export function readRows(rows: FeatureRows, view: string): Rows {
  const found = rows.views.find((candidate) => candidate.view === view);
  if (found === undefined) throw new Error(`no rows of ${view}: ${rows.errorCode} ${rows.errorMessage}`);
  const values = [...(numericView('FP32', found.values) as Float32Array)];
  const status = [...found.status].map((value) => VALUE_STATUS[value] ?? '?');
  const rowsOf = <T>(flat: T[]): T[][] =>
    Array.from({ length: flat.length / found.fields }, (_, row) =>
      flat.slice(row * found.fields, (row + 1) * found.fields),
    );
  return { values: rowsOf(values), status: rowsOf(status) };
}
