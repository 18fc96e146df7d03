import { Worker } from 'node:worker_threads';
import type { FeatureSource, FeatureView, SourceAnswer } from '../core/feature-view.ts';
import type { SqliteQuestion, SqliteReply, SqliteThreadData } from './sqlite-thread.ts';

export type SqliteSourceOptions = {
  path: string;
  /** How long a statement may wait for a lock: no longer than the callers do. */
  busyTimeoutMs: number;
};

/** Statements that the thread has not answered. More would only pile up behind one that hangs. */
const MAX_UNANSWERED = 4;

type Waiting = { resolve(rows: unknown[][]): void; reject(error: Error): void };

/** One statement for all entities of a round trip, in a thread of its own: `node:sqlite` blocks the thread it runs in. */
export class SqliteSource implements FeatureSource, AsyncDisposable {
  readonly kind = 'sqlite';
  readonly #data: SqliteThreadData;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(options: SqliteSourceOptions) {
    this.#data = options;
  }

  async fetch(view: FeatureView, entities: readonly string[]): Promise<SourceAnswer[]> {
    if (this.#waiting.size >= MAX_UNANSWERED) throw new Error('earlier statements are still running');
    const rows = await this.#ask(selectStatement(view), JSON.stringify(entities));
    const found = new Map(rows.map((row) => [String(row[0]), row]));
    return entities.map((entity) => {
      const row = found.get(entity);
      if (row === undefined) return 'missing';
      const [, updated, ...values] = row;
      // SQLite has no schema version of its own: the columns are the schema, and a statement on other ones fails.
      return { values, version: view.version, updatedMs: typeof updated === 'number' ? updated : undefined };
    });
  }

  #ask(sql: string, entities: string): Promise<unknown[][]> {
    this.#worker ??= this.#start();
    this.#lastId += 1;
    const question: SqliteQuestion = { id: this.#lastId, sql, entities };
    return new Promise((resolve, reject) => {
      this.#waiting.set(question.id, { resolve, reject });
      this.#worker?.postMessage(question);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL('./sqlite-thread.ts', import.meta.url), {
      workerData: this.#data,
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
    });
    worker.on('message', (reply: SqliteReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('rows' in reply) waiting?.resolve(reply.rows);
      else waiting?.reject(new Error(reply.error));
    });
    worker.on('error', (error) => this.#lost(worker, error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => this.#lost(worker, new Error('the SQLite thread has ended')));
    return worker;
  }

  /** The next fetch starts another thread. */
  #lost(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }
}

/** Identifiers passed the allowlist of view files, and keywords are harmless inside quotes. */
function selectStatement({ source, view, fields }: FeatureView): string {
  if (source.kind !== 'sqlite') throw new Error(`bug: view ${view} does not lie in SQLite`);
  const columns = [source.key, source.updated, ...fields.map((field) => field.name)].map((name) => `"${name}"`);
  return `SELECT ${columns.join(', ')} FROM "${source.table}" WHERE "${source.key}" IN (SELECT value FROM json_each(?))`;
}
