import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { RedisClient } from '@spillway/redis/client';
import type { CsvRow } from '../core/csv.ts';
import type { FeatureView, ViewSource } from '../core/feature-view.ts';
import { redisKey } from './redis-source.ts';

const ROWS_AT_ONCE = 500;

/** Writes one hash for each row; a row that is there already is replaced. `epochMs` becomes the time of the values. */
export async function seedRedis(
  redis: RedisClient,
  view: FeatureView,
  rows: readonly CsvRow[],
  epochMs: number,
): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
    const pipeline = redis.pipeline();
    for (const { entity, values } of rows.slice(from, from + ROWS_AT_ONCE)) {
      // JSON leaves out what is undefined.
      const d = JSON.stringify(Object.fromEntries(view.fields.map((field, index) => [field.name, values[index]])));
      pipeline.hset(redisKey(entity, view.view), { d, v: view.version, ts: epochMs });
    }
    for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
  }
}

/** Makes the table (WAL, the entity as primary key) or adds what columns it lacks, and replaces the rows, all or none. */
export function seedSqlite(path: string, view: FeatureView, rows: readonly CsvRow[], epochMs: number): void {
  const { source } = view;
  if (source.kind !== 'sqlite') throw new Error(`bug: view ${view.view} does not lie in SQLite`);
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path, { timeout: 5_000 });
  try {
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('BEGIN IMMEDIATE');
    makeTable(database, view, source);
    const columns = [source.key, source.updated, ...view.fields.map((field) => field.name)];
    const insert = database.prepare(
      `INSERT OR REPLACE INTO "${source.table}" (${columns.map((name) => `"${name}"`).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    );
    for (const { entity, values } of rows) insert.run(entity, epochMs, ...values.map(toSql));
    database.exec('COMMIT');
  } finally {
    database.close(); // rolls back what was not committed
  }
}

function makeTable(database: DatabaseSync, view: FeatureView, source: ViewSource & { kind: 'sqlite' }): void {
  const table = `"${source.table}"`;
  database.exec(
    `CREATE TABLE IF NOT EXISTS ${table} ("${source.key}" TEXT PRIMARY KEY NOT NULL, "${source.updated}" INTEGER) WITHOUT ROWID`,
  );
  const present = new Set(
    database
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .map((row) => row['name']),
  );
  for (const { name, type } of view.fields) {
    if (!present.has(name))
      database.exec(`ALTER TABLE ${table} ADD COLUMN "${name}" ${type === 'float' ? 'REAL' : 'INTEGER'}`);
  }
}

const toSql = (value: number | boolean | undefined): number | null =>
  value === undefined ? null : typeof value === 'boolean' ? Number(value) : value;
