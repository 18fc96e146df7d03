import { ConfigError, type Fault } from './config-error.ts';
import { nearest } from './did-you-mean.ts';
import type { ConfigOf, Field, Fields } from './field.ts';
import { shownValue } from './redact.ts';

/**
 * `prefix` is the service's own, such as `BATCHER_`: variables below it that no field reads are faults. `check` sees a whole
 * configuration and returns what does not fit together, as texts that name the variables.
 */
export type ConfigDefinition<F extends Fields> = {
  service: string;
  prefix: string;
  fields: F;
  check?: (config: ConfigOf<F>) => string[];
};

export type ConfigSchema<T> = {
  service: string;
  prefix: string;
  fields: Fields;
  /** @throws ConfigError with every fault at once; its `exitCode` is 78. */
  load(env: NodeJS.ProcessEnv): Readonly<T>;
};

const VARIABLE_PATTERN = /^[A-Z][A-Z0-9_]*$/;

/** The configuration of one service. @throws Error when two fields read one variable, or a name is no variable: bugs. */
export function defineConfig<F extends Fields>(definition: ConfigDefinition<F>): ConfigSchema<ConfigOf<F>> {
  const { service, prefix, fields, check } = definition;
  assertDistinct(fields);
  const load = (env: NodeJS.ProcessEnv): Readonly<ConfigOf<F>> => {
    const faults: Fault[] = [];
    const config: Record<string, unknown> = {};
    for (const [key, field] of Object.entries(fields)) config[key] = read(field, env[field.variable], faults);
    faults.push(...unknownVariables(definition, env));
    // Every key was read or is a fault, and a configuration with faults never leaves this function.
    const whole = config as ConfigOf<F>;
    if (faults.length === 0 && check !== undefined) faults.push(...check(whole).map((text) => ({ subject: '', text })));
    if (faults.length > 0) throw new ConfigError(service, faults);
    return Object.freeze(whole);
  };
  return { service, prefix, fields, load };
}

function read(field: Field<unknown>, text: string | undefined, faults: Fault[]): unknown {
  if (text === undefined && field.fallback !== undefined) return field.fallback.make();
  const parsed = text === undefined ? undefined : field.parse(text);
  if (parsed !== undefined) return parsed.value;
  faults.push({ subject: field.variable, text: `expected ${field.expected}, got ${shownValue(field, text)}` });
  return undefined;
}

/** Values are not shown: a misspelt variable may hold a secret. */
function unknownVariables({ prefix, fields }: { prefix: string; fields: Fields }, env: NodeJS.ProcessEnv): Fault[] {
  const known = Object.values(fields).map((field) => field.variable);
  const unknown = Object.keys(env).filter(
    (name) => name.startsWith(prefix) && !known.includes(name) && !isServiceLink(name, env[name] ?? ''),
  );
  return unknown.map((subject) => {
    const meant = nearest(subject, known);
    return { subject, text: `unknown variable${meant === undefined ? '' : `; did you mean ${meant}?`}` };
  });
}

/**
 * Kubernetes sets `BATCHER_SERVICE_HOST`, `BATCHER_PORT=tcp://…`, `BATCHER_PORT_8040_TCP_ADDR` and so on in every pod beside a
 * Service named `batcher` (enableServiceLinks, on by default). Nobody misspelt those.
 */
function isServiceLink(name: string, value: string): boolean {
  if (/_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(name)) return true;
  if (/_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true;
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value);
}

function assertDistinct(fields: Fields): void {
  const seen = new Set<string>();
  for (const { variable } of Object.values(fields)) {
    if (!VARIABLE_PATTERN.test(variable)) throw new Error(`bug: expected an upper-case variable, got ${variable}`);
    if (seen.has(variable)) throw new Error(`bug: two fields read ${variable}`);
    seen.add(variable);
  }
}
