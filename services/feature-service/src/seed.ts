import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { wallClock } from '@spillway/lifecycle/clock';
import { closeRedis, openRedis } from '@spillway/redis/client';
import { seedRedis, seedSqlite } from './adapters/seeder.ts';
import { loadViews } from './adapters/view-files.ts';
import { featureServiceConfig, SERVICE_DIR } from './config.ts';
import { parseCsv, rowsOfView } from './core/csv.ts';

const HELP = `Usage: node src/seed.ts FILE.csv [--key COLUMN] [--view NAME]...

Loads a table of entities into the sources of the feature views: of each view the columns that it declares, into Redis
(one hash for each entity) or into its SQLite table. What is there already is replaced, so it may run again and again.

  FILE.csv       with a header; a column for each field of the views
  --key COLUMN   the column with the ids (default ID)
  --view NAME    only this view; may be repeated (default: all)
  --help         this text

Reads the environment of the service: REDIS_URL, FEATURE_SERVICE_SQLITE_PATH, FEATURE_SERVICE_VIEWS_DIR.
`;

const OPTIONS = {
  key: { type: 'string', default: 'ID' },
  view: { type: 'string', multiple: true },
  help: { type: 'boolean', default: false },
} as const;

async function seed(file: string, keyColumn: string, only: readonly string[] | undefined): Promise<void> {
  const config = featureServiceConfig.load(process.env);
  const all = await loadViews(resolve(SERVICE_DIR, config.viewsDir));
  const unknown = only?.find((name) => !all.has(name));
  if (unknown !== undefined) throw new Error(`--view ${unknown}: expected one of ${[...all.keys()].join(', ')}`);
  const views = [...all.values()].filter(({ view }) => only === undefined || only.includes(view));
  const table = parseCsv(readFileSync(file, 'utf8'));
  const epochMs = wallClock.epochMs();
  await using closing = new AsyncDisposableStack();
  const connect = async () => {
    const client = openRedis({
      url: config.redisUrl,
      commandTimeoutMs: 5_000,
      connectionName: 'seed',
      onFact: () => {},
    });
    closing.defer(() => closeRedis(client));
    await once(client, 'ready', { signal: AbortSignal.timeout(5_000) }).catch((cause: unknown) => {
      throw new Error('Redis did not answer within 5 s; is it running at REDIS_URL?', { cause });
    });
    return client;
  };
  const redis = views.some(({ source }) => source.kind === 'redis') ? await connect() : undefined;
  for (const view of views) {
    const rows = rowsOfView(view, table, keyColumn);
    if (redis !== undefined && view.source.kind === 'redis') {
      await seedRedis(redis, view, rows, epochMs);
      process.stdout.write(`${view.view}: ${rows.length} hashes spw:f:{<id>}:${view.view} in Redis\n`);
    } else if (view.source.kind === 'sqlite') {
      seedSqlite(config.sqlitePath, view, rows, epochMs);
      process.stdout.write(`${view.view}: ${rows.length} rows in table ${view.source.table} of ${config.sqlitePath}\n`);
    }
  }
}

try {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const [file, ...more] = positionals;
  if (values.help) process.stdout.write(HELP);
  else if (file === undefined || more.length > 0) throw new Error('expected one CSV file; see --help');
  else await seed(file, values.key, values.view);
} catch (error) {
  process.stderr.write(`seed: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
