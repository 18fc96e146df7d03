import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/** `entities` is a JSON array of ids; `sql` takes it as its one parameter. */
export type SqliteQuestion = { id: number; sql: string; entities: string };
export type SqliteReply = { id: number; rows: unknown[][] } | { id: number; error: string };
export type SqliteThreadData = { path: string; busyTimeoutMs: number };

/**
 * The thread that `node:sqlite` may block. Opens the file read-only when first asked, and again after a failure: the file may
 * not exist yet, or may have been replaced.
 */
const { path, busyTimeoutMs } = workerData as SqliteThreadData;
const port = parentPort!;
let open: { database: DatabaseSync; statements: Map<string, StatementSync> } | undefined;

function prepare(sql: string): StatementSync {
  open ??= { database: new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs }), statements: new Map() };
  const known = open.statements.get(sql);
  if (known !== undefined) return known;
  const statement = open.database.prepare(sql);
  statement.setReturnArrays(true);
  open.statements.set(sql, statement);
  return statement;
}

function close(): void {
  try {
    open?.database.close();
  } catch {
    // it was not open: nothing to close
  }
  open = undefined;
}

port.on('message', ({ id, sql, entities }: SqliteQuestion) => {
  try {
    // setReturnArrays(true) makes rows arrays; the types of Node know only objects.
    const rows = prepare(sql).all(entities) as unknown as unknown[][];
    port.postMessage({ id, rows } satisfies SqliteReply);
  } catch (error) {
    close();
    port.postMessage({ id, error: (error as Error).message } satisfies SqliteReply);
  }
});
