import type { FeatureFetch, FeatureRows, ViewRows } from '@spillway/contracts/messages';
import { type Block, defaultRows, pickRows } from './assemble.ts';
import type { FeatureView } from './feature-view.ts';

/** One caller's fetch while its views are under way. Whoever settles a view first wins; the last one completes the fetch. */
export class PendingFetch {
  readonly fetch: FeatureFetch;
  readonly #views: readonly FeatureView[];
  readonly #rows: (ViewRows | undefined)[];
  #open: number;

  /** `views` are those that the fetch names, in its order. */
  constructor(fetch: FeatureFetch, views: readonly FeatureView[]) {
    this.fetch = fetch;
    this.#views = views;
    this.#rows = views.map(() => undefined);
    this.#open = views.length;
  }

  get isComplete(): boolean {
    return this.#open === 0;
  }

  isSettled(index: number): boolean {
    return this.#rows[index] !== undefined;
  }

  /** Takes the caller's rows of a view out of a merged block. */
  settle(index: number, block: Block, rows: readonly number[]): void {
    const view = this.#views[index];
    if (view === undefined || this.isSettled(index)) return;
    this.#rows[index] = { view: view.view, fields: block.fields, ...pickRows(block, rows) };
    this.#open -= 1;
  }

  /** The budget is over: defaults for what has not come. */
  settleRest(): void {
    const positions = [...this.fetch.entities.keys()];
    for (const [index, view] of this.#views.entries()) {
      if (!this.isSettled(index)) this.settle(index, defaultRows(view, positions.length), positions);
    }
  }

  /** @throws Error before the fetch is complete: a bug. */
  answer(): FeatureRows {
    const views = this.#rows.filter((rows) => rows !== undefined);
    if (views.length !== this.#views.length) throw new Error('bug: answered before every view was settled');
    return { id: this.fetch.id, views, errorCode: '', errorMessage: '' };
  }
}
