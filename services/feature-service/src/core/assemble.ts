import { bytesOf } from '@spillway/contracts/tensor';
import type { FeatureView, Field, SourceAnswer, SourceRow } from './feature-view.ts';

/** `ValueStatus` of features.proto. */
export const PRESENT = 0;
export const MISSING = 1;
export const STALE = 2;
export const DEFAULT = 3;

/** Rows of one view: FP32 row-major [entities, fields], and one status for each value in the same order. */
export type Block = { fields: number; values: Float32Array; status: Uint8Array };

/** O(entities × fields). `epochMs` is the wall clock: a row's age is its own time against it. */
export function assembleRows(view: FeatureView, answers: readonly SourceAnswer[], epochMs: number): Block {
  const block = emptyBlock(view, answers.length);
  for (const [row, answer] of answers.entries()) {
    if (answer === 'missing') fillDefaults(view, block, row, MISSING);
    else if (answer === 'unreadable' || answer.version !== view.version) fillDefaults(view, block, row, DEFAULT);
    else fillRow(view, block, row, answer, epochMs);
  }
  return block;
}

/** What stands in for `rows` entities when the source failed, was late, or was not asked. */
export function defaultRows(view: FeatureView, rows: number): Block {
  const block = emptyBlock(view, rows);
  for (let row = 0; row < rows; row += 1) fillDefaults(view, block, row, DEFAULT);
  return block;
}

/** Copies rows of a merged block into the bytes of one caller's answer; row i of the answer is `rows[i]` of the block. */
export function pickRows(block: Block, rows: readonly number[]): { values: Uint8Array; status: Uint8Array } {
  const { fields } = block;
  const values = new Float32Array(rows.length * fields);
  const status = new Uint8Array(rows.length * fields);
  for (const [at, row] of rows.entries()) {
    values.set(block.values.subarray(row * fields, (row + 1) * fields), at * fields);
    status.set(block.status.subarray(row * fields, (row + 1) * fields), at * fields);
  }
  return { values: bytesOf(values), status };
}

function emptyBlock(view: FeatureView, rows: number): Block {
  const fields = view.fields.length;
  return { fields, values: new Float32Array(rows * fields), status: new Uint8Array(rows * fields) };
}

function fillDefaults(view: FeatureView, block: Block, row: number, status: number): void {
  for (const [column, field] of view.fields.entries()) {
    block.values[row * block.fields + column] = field.default;
    block.status[row * block.fields + column] = status;
  }
}

function fillRow(view: FeatureView, block: Block, row: number, source: SourceRow, epochMs: number): void {
  const stale = source.updatedMs !== undefined && epochMs - source.updatedMs > view.freshnessMs;
  for (const [column, field] of view.fields.entries()) {
    const at = row * block.fields + column;
    const stored = source.values[column];
    const value = readValue(field, stored);
    block.values[at] = value ?? field.default;
    if (value !== undefined) block.status[at] = stale ? STALE : PRESENT;
    else block.status[at] = stored === undefined || stored === null ? MISSING : DEFAULT;
  }
}

/** Largest finite FP32: a larger double would become Infinity. */
const MAX_FP32 = 3.4028234663852886e38;

/** The value as a number that FP32 can hold, or undefined if it is not of the field's type. SQLite has no booleans: 0 and 1 pass. */
function readValue(field: Field, stored: unknown): number | undefined {
  if (field.type === 'bool') {
    if (stored === true || stored === 1) return 1;
    return stored === false || stored === 0 ? 0 : undefined;
  }
  if (typeof stored !== 'number' || !(Math.abs(stored) <= MAX_FP32)) return undefined;
  return field.type === 'int' && !Number.isInteger(stored) ? undefined : stored;
}
