import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { integerOption, parseCommand } from '../args.ts';
import { CliError, type Context } from '../context.ts';
import { table } from '../table.ts';
import { tracesDir } from '../trace-receiver.ts';
import type { Trace, TraceSummary } from '../traces/trace.ts';
import { openTraceStore } from '../traces/trace-store.ts';
import { drawWaterfall } from '../traces/waterfall.ts';

export const OPTIONS = { limit: { type: 'string', short: 'n' }, json: { type: 'boolean' } } as const;

/** Services send their spans about once a second, so that a trace asked for at once is waited for. */
const TRIES = 5;
const TRY_EVERY_MS = 700;
const WIDTH_WITHOUT_TERMINAL = 110;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('trace', argv, OPTIONS, { optional: ['ID'] });
  const limit = integerOption('trace', 'limit', values.limit, { min: 1, max: 1_000, fallback: 15 });
  const [id] = positionals;
  if (id === undefined) {
    await list(context, limit, values.json === true);
    return 0;
  }
  const trace = await findTrace(context.dataDir, id);
  context.print(values.json ? JSON.stringify(trace, null, 2) : draw(trace));
  return 0;
}

/** @throws CliError when there is none, or several begin like this. */
export async function findTrace(dataDir: string, id: string): Promise<Trace> {
  for (let attempt = 1; ; attempt += 1) {
    await using store = await openTraceStore(tracesDir(dataDir));
    const found = store.find(id);
    if (found.kind === 'trace') return found.trace;
    if (found.kind === 'ambiguous') {
      throw new CliError(`several traces begin with ${id}: ${found.traceIds.slice(0, 5).join(', ')}`);
    }
    if (attempt === TRIES) {
      throw new CliError(`no trace "${id}" among the last ones`, [
        'Expected a trace id, the beginning of one (4 characters), or a request id. A busy mesh samples: see the header spillway-trace-id.',
      ]);
    }
    await delay(TRY_EVERY_MS);
  }
}

export function draw(trace: Trace): string {
  const { isTTY, columns } = process.stdout;
  const unicode = !/^(C|POSIX)$/.test(
    process.env['LC_ALL'] || process.env['LC_CTYPE'] || process.env['LANG'] || 'UTF-8',
  );
  return drawWaterfall(trace, {
    width: isTTY ? columns : WIDTH_WITHOUT_TERMINAL,
    unicode,
    colour: isTTY && !process.env['NO_COLOR'],
  });
}

async function list(context: Context, limit: number, asJson: boolean): Promise<void> {
  if (!existsSync(tracesDir(context.dataDir)))
    throw new CliError('no traces yet', ['Send a request first: ./spillway infer']);
  await using store = await openTraceStore(tracesDir(context.dataDir));
  const summaries = store.list(limit);
  if (asJson) return context.print(JSON.stringify(summaries, null, 2));
  for (const line of table(['trace', 'request', 'name', 'took', 'spans', 'services', 'error'], summaries.map(row))) {
    context.print(line);
  }
}

const row = (summary: TraceSummary): string[] => [
  summary.traceId,
  summary.requestId || '-',
  summary.name,
  `${summary.durationMs.toFixed(2)} ms`,
  String(summary.spans),
  String(summary.services),
  summary.error,
];
