import type { Field, Fields } from './field.ts';

const MASK = '***';
const MAX_SHOWN = 80;

/** Hides user and password of every URL in a text: connection strings are where secrets stand unmarked. */
export const redactUrls = (text: string): string => text.replace(/(\w+:\/\/)[^/?#@,\s]*@/g, `$1${MASK}@`);

/** What came, as a fault or a log may show it. */
export function shownValue(field: Pick<Field<unknown>, 'secret'>, text: string | undefined): string {
  if (text === undefined) return 'nothing';
  if (field.secret) return MASK;
  const clear = redactUrls(text);
  return JSON.stringify(clear.length > MAX_SHOWN ? `${clear.slice(0, MAX_SHOWN)}…` : clear);
}

/** A configuration that may be logged at start: secrets and credentials in URLs are masked. */
export function redact(fields: Fields, config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(fields).map(([key, field]) => {
    const value = config[key];
    if (field.secret && value !== '') return [key, MASK];
    return [key, typeof value === 'string' ? redactUrls(value) : value];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}
