/** One variable: how it is read, what it means, what it is without. `T` is its type in the configuration. */
export type Field<T> = {
  /** The environment variable, upper case. */
  variable: string;
  /** What it does, and what goes wrong at either extreme. One line: it becomes a cell of the README's table. */
  doc: string;
  /** Reads "expected <this>", such as `an integer from 0 to 10`. */
  expected: string;
  secret: boolean;
  /** Absent: the variable must be set. `make` runs once for each load. */
  fallback: { make: () => T; shown: string } | undefined;
  /** Undefined: not what was expected. */
  parse(text: string): { value: T } | undefined;
};

export type Fields = Record<string, Field<unknown>>;

/** The configuration that these fields give. */
export type ConfigOf<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };
