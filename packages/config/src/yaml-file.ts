import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { ConfigError, type Fault } from './config-error.ts';
import { nearest } from './did-you-mean.ts';
import { Expectations } from './expectation.ts';

/** Aliases may multiply: a few lines can become gigabytes. */
const MAX_ALIASES = 50;
const MAX_BYTES = 1024 * 1024;

/**
 * Reads a YAML file against a schema, all faults in one report: `model.yaml: max_batch_size: expected integer ≥ 0, got "x"`.
 * @param label How the file is called in faults; by default its name without the folder.
 * @throws ConfigError when it cannot be read, is not YAML, or is not what the schema says.
 */
export function readYamlFile<S extends z.ZodType>(path: string, schema: S, label = basename(path)): z.output<S> {
  const value = parse(read(path, label), label);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const expectations = new Expectations(schema);
  throw new ConfigError(label, distinct(result.error.issues.flatMap((issue) => faultsOf(issue, value, expectations))));
}

function read(path: string, label: string): string {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= MAX_BYTES) return bytes.toString('utf8');
    throw new ConfigError(label, [{ subject: '', text: `expected at most ${MAX_BYTES} bytes, got ${bytes.length}` }]);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'an error';
    throw new ConfigError(label, [{ subject: '', text: `expected a readable file, got ${code}` }], { cause });
  }
}

function parse(text: string, label: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true, stringKeys: true });
  if (document.errors.length > 0) {
    const faults = document.errors.map((error) => ({
      subject: '',
      text: `expected YAML, got ${firstLine(error.message)}`,
    }));
    throw new ConfigError(label, faults);
  }
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown;
  } catch (cause) {
    throw new ConfigError(label, [{ subject: '', text: `expected at most ${MAX_ALIASES} expanded aliases` }], {
      cause,
    });
  }
}

function faultsOf(issue: z.core.$ZodIssue, file: unknown, expectations: Expectations): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const meant = nearest(key, expectations.members(issue.path));
      const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
      return { subject: written([...issue.path, key]), text: `unknown member${hint}` };
    });
  }
  const subject = written(issue.path);
  const expected = issue.code === 'custom' ? undefined : expectations.at(issue.path);
  if (expected === undefined) return [{ subject, text: lowerFirst(issue.message) }];
  return [{ subject, text: `expected ${expected}, got ${shown(valueAt(file, issue.path))}` }];
}

/** Several rules may break at one place; the expectation names them all, once. */
const distinct = (faults: Fault[]): Fault[] => [...new Map(faults.map((f) => [`${f.subject}\n${f.text}`, f])).values()];

/** `inputs[0].name`. */
const written = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? String(step) : `${text}.${String(step)}`;
  }, '');

const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (at, step) => (typeof at === 'object' && at !== null ? Reflect.get(at, step) : undefined),
    value,
  );

const MAX_SHOWN = 60;

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'a mapping';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
const firstLine = (text: string): string => lowerFirst(text.split('\n', 1)[0]!.replace(/:$/, ''));
