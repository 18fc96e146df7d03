import { FEATURES_METHOD, type FeatureRows, type FetchRequest, type FetchResponse } from '@spillway/contracts/messages';
import { type DialledDuplex, dialDuplex } from '@spillway/rpc/duplex';
import { CliError } from '../context.ts';

const BUDGET_MS = 1_000;
const CONNECT_WITHIN_MS = 2_000;

/** One feature-service, asked as a gateway asks it, one fetch after another. */
export class FeatureLink implements AsyncDisposable {
  readonly instance: string;
  readonly #stream: DialledDuplex<FetchRequest>;
  readonly #up = Promise.withResolvers<void>();
  #answer = Promise.withResolvers<FeatureRows>();
  #lastId = 0;

  constructor(instance: string, address: string) {
    this.instance = instance;
    this.#up.promise.catch(() => undefined); // told by the fetch
    this.#answer.promise.catch(() => undefined);
    this.#stream = dialDuplex<FetchResponse, FetchRequest>({
      address,
      method: FEATURES_METHOD,
      connectTimeoutMs: CONNECT_WITHIN_MS,
      onUp: () => this.#up.resolve(),
      onMessage: ({ results }) => {
        for (const rows of results) if (rows.id === this.#lastId) this.#answer.resolve(rows);
      },
      onDown: (reason) => {
        const error = new CliError(`${instance}: ${reason.message}`, ['Is it well? ./spillway status']);
        this.#up.reject(error);
        this.#answer.reject(error);
      },
    });
  }

  /** @throws CliError when the stream breaks. */
  async fetch(view: string, entities: string[]): Promise<FeatureRows> {
    await this.#up.promise;
    this.#lastId += 1;
    this.#answer = Promise.withResolvers<FeatureRows>();
    this.#answer.promise.catch(() => undefined);
    const fetch = { id: this.#lastId, views: [view], entities, budgetMs: BUDGET_MS, traceparent: '' };
    if (!this.#stream.send({ fetches: [fetch] })) throw new CliError(`${this.instance}: the stream is down`);
    return this.#answer.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stream.close();
  }
}
