import type { Field } from './field.ts';

/** Without `default` the variable must be set. `doc` says what goes wrong at either extreme. */
type Common<T> = { default?: T; doc: string };
type Range = { min?: number; max?: number };
type StringOptions = Common<string> & { secret?: boolean; pattern?: RegExp };
type UrlOptions = Common<string> & { secret?: boolean; schemes?: readonly string[] };

type Shape<T> = Pick<Field<T>, 'expected' | 'parse'> & { secret?: boolean };

function field<T extends string | number | boolean>(variable: string, options: Common<T>, shape: Shape<T>): Field<T> {
  const value = options.default;
  const fallback =
    value === undefined ? undefined : { make: () => value, shown: value === '' ? '(empty)' : `${value}` };
  return { variable, doc: options.doc, secret: false, ...shape, fallback };
}

function rangeText({ min, max }: Range): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` ≥ ${min}`;
  return max === undefined ? '' : ` ≤ ${max}`;
}

const within = (value: number, { min, max }: Range): { value: number } | undefined =>
  value >= (min ?? Number.NEGATIVE_INFINITY) && value <= (max ?? Number.POSITIVE_INFINITY) ? { value } : undefined;

const BOOLEANS: Record<string, boolean> = { true: true, '1': true, false: false, '0': false };

/** Readers of environment variables. Surrounding white space counts only in strings. */
export const env = {
  int: (variable: string, options: Common<number> & Range): Field<number> =>
    field(variable, options, {
      expected: `an integer${rangeText(options)}`,
      parse: (text) => {
        if (!/^[+-]?\d+$/.test(text.trim())) return undefined;
        const value = Number(text);
        return Number.isSafeInteger(value) ? within(value, options) : undefined;
      },
    }),

  number: (variable: string, options: Common<number> & Range): Field<number> =>
    field(variable, options, {
      expected: `a number${rangeText(options)}`,
      parse: (text) => {
        const value = text.trim() === '' ? Number.NaN : Number(text);
        return Number.isFinite(value) ? within(value, options) : undefined;
      },
    }),

  bool: (variable: string, options: Common<boolean>): Field<boolean> =>
    field(variable, options, {
      expected: 'true, false, 1 or 0',
      parse: (text) => {
        const value = BOOLEANS[text.trim().toLowerCase()];
        return value === undefined ? undefined : { value };
      },
    }),

  string: (variable: string, options: StringOptions): Field<string> =>
    field(variable, options, {
      expected: options.pattern === undefined ? 'a text' : `a text like ${options.pattern.source}`,
      secret: options.secret ?? false,
      parse: (value) => (options.pattern === undefined || options.pattern.test(value) ? { value } : undefined),
    }),

  oneOf: <const V extends string>(variable: string, values: readonly V[], options: Common<NoInfer<V>>): Field<V> =>
    field<V>(variable, options, {
      expected: `one of ${values.join(', ')}`,
      parse: (text) => {
        const value = values.find((v) => v === text.trim());
        return value === undefined ? undefined : { value };
      },
    }),

  /** One URL, or several with commas between (the servers of a cluster). Empty only where the default is empty. */
  url: (variable: string, options: UrlOptions): Field<string> =>
    field(variable, options, {
      expected:
        options.schemes === undefined ? 'a URL' : `a URL with ${options.schemes.map((s) => `${s}://`).join(' or ')}`,
      secret: options.secret ?? false,
      parse: (text) => {
        const value = text.trim();
        if (value === '') return options.default === '' ? { value } : undefined;
        return value.split(',').every((url) => isUrl(url.trim(), options.schemes)) ? { value } : undefined;
      },
    }),

  /** A TCP port to listen on; 0 takes a free one. */
  port: (variable: string, options: Common<number>): Field<number> => ({
    ...env.int(variable, { ...options, min: 0, max: 65_535 }),
    expected: 'a port from 0 to 65535',
  }),
};

function isUrl(text: string, schemes: readonly string[] | undefined): boolean {
  const url = URL.parse(text);
  if (url === null || url.host === '') return false;
  return schemes === undefined || schemes.includes(url.protocol.slice(0, -1));
}
