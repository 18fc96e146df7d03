import type { Name } from '@spillway/contracts/names';

/** Every value travels as FP32: `int` must be whole, `bool` becomes 1 or 0. */
export type FieldType = 'float' | 'int' | 'bool';

/** One column of a view. `default` stands where the source has nothing that can be used; it is FP32 like the values. */
export type Field = { name: string; type: FieldType; default: number };

/** Where a view's rows lie. SQLite: one table, the entity in column `key`, the time of the row (ms since the epoch) in `updated`. */
export type ViewSource = { kind: 'redis' } | { kind: 'sqlite'; table: string; key: string; updated: string };
export type SourceKind = ViewSource['kind'];

/** A set of features of one kind of entity, read together from one source. */
export type FeatureView = {
  view: Name;
  entity: string;
  /** Schema of the stored values; a value written under another one is not read. */
  version: number;
  source: ViewSource;
  /** Older values are answered, marked stale. Infinity: they never are. */
  freshnessMs: number;
  /** How long the source may take for one round trip; then its callers get defaults. */
  timeoutMs: number;
  fields: readonly Field[];
};

/** What may stand in SQL as a table or column: the identifiers of a view file come from people. */
export const IDENTIFIER_PATTERN = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/**
 * What a source knows of one entity: its values in the order of the view's fields (`undefined` where it has none), and when
 * they were written (ms since the epoch; undefined: not known, so never stale).
 */
export type SourceRow = { values: readonly unknown[]; version: number; updatedMs: number | undefined };

/** `missing`: the source does not know the entity. `unreadable`: something stands there and is no row. */
export type SourceAnswer = SourceRow | 'missing' | 'unreadable';

/** One round trip: answer i belongs to entity i, which are unique. Rejects when the source failed as a whole. */
export type FeatureSource = {
  readonly kind: SourceKind;
  fetch(view: FeatureView, entities: readonly string[]): Promise<SourceAnswer[]>;
};
