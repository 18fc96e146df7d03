import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, type Fault } from '@spillway/config/config-error';
import { NAME_PATTERN, type Name } from '@spillway/contracts/names';
import { parse } from 'yaml';
import { z } from 'zod';
import { type FeatureView, IDENTIFIER_PATTERN } from '../core/feature-view.ts';

const MAX_FIELDS = 1_024;

const name = z.string().regex(NAME_PATTERN, 'expected 1 to 64 letters, digits, "_" or "-"');
/** Becomes part of an SQL statement. */
const identifier = z
  .string()
  .regex(IDENTIFIER_PATTERN, 'expected a letter or "_", then letters, digits or "_", at most 64');

const field = z
  .strictObject({
    name: identifier,
    type: z.enum(['float', 'int', 'bool']),
    default: z.union([z.number(), z.boolean()], { error: 'expected a number, true or false' }),
  })
  .check((ctx) => {
    const { type, default: value } = ctx.value;
    const fits =
      type === 'bool'
        ? value === true || value === false
        : type === 'int'
          ? Number.isInteger(value)
          : typeof value === 'number';
    if (!fits)
      ctx.issues.push({
        code: 'custom',
        path: ['default'],
        input: value,
        message: `expected ${OF_TYPE[type]}, got ${value}`,
      });
  });

const OF_TYPE = { float: 'a number', int: 'a whole number', bool: 'true or false' } as const;

const source = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('redis') }),
  z.strictObject({
    kind: z.literal('sqlite'),
    table: identifier,
    key: identifier,
    updated: identifier.default('updated_ms'),
  }),
]);

const viewFile = z
  .strictObject({
    view: name,
    entity: name,
    version: z.int().min(1).default(1),
    source,
    freshness_seconds: z.number().min(0), // 0: values never go stale
    timeout_ms: z.number().min(1).max(60_000),
    fields: z.array(field).min(1).max(MAX_FIELDS),
  })
  .check((ctx) => {
    const seen = new Set<string>();
    for (const [index, { name: column }] of ctx.value.fields.entries()) {
      if (seen.has(column)) {
        const message = `expected a name that no other field has, got "${column}" again`;
        ctx.issues.push({ code: 'custom', path: ['fields', index, 'name'], input: column, message });
      }
      seen.add(column);
    }
  });

/**
 * Reads one view. @param file Its name, for faults.
 * @throws ConfigError naming the file and every field that is wrong.
 */
export function parseView(text: string, file: string): FeatureView {
  const checked = viewFile.safeParse(parseYaml(text, file));
  if (!checked.success) throw new ConfigError(file, checked.error.issues.map(toFault));
  const { view, entity, version, source: from, freshness_seconds, timeout_ms, fields } = checked.data;
  return {
    view: view as Name, // the pattern of the schema is the allowlist's
    entity,
    version,
    source: from,
    freshnessMs: freshness_seconds === 0 ? Number.POSITIVE_INFINITY : freshness_seconds * 1_000,
    timeoutMs: timeout_ms,
    fields: fields.map((column) => ({ ...column, default: Number(column.default) })),
  };
}

/**
 * Every `*.yaml` of a folder, by the view's name.
 * @throws ConfigError with the faults of all files, of two files that hold one view, and of a folder that cannot be read.
 */
export async function loadViews(dir: string): Promise<ReadonlyMap<string, FeatureView>> {
  const files = await listFiles(dir);
  const views = new Map<string, FeatureView>();
  const faults: Fault[] = [];
  for (const file of files) {
    try {
      const view = parseView(await readFile(join(dir, file), 'utf8'), file);
      if (views.has(view.view))
        faults.push({ subject: `${file}: view`, text: `"${view.view}" stands in another file too` });
      views.set(view.view, view);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(...error.faults.map(({ subject, text }) => ({ subject: `${file}: ${subject}`, text })));
    }
  }
  if (faults.length > 0) throw new ConfigError('views', faults);
  return views;
}

async function listFiles(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((file) => /\.ya?ml$/.test(file)).sort();
  } catch (cause) {
    const text = `expected a folder of views, got ${(cause as NodeJS.ErrnoException).code ?? 'an error'}`;
    throw new ConfigError('views', [{ subject: dir, text }], { cause });
  }
}

function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    const [first = 'not YAML'] = (cause as Error).message.split('\n');
    throw new ConfigError(file, [{ subject: '', text: first }], { cause });
  }
}

function toFault(issue: z.core.$ZodIssue): Fault {
  const subject = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return { subject: subject.replace(/^\./, ''), text: issue.message };
}
