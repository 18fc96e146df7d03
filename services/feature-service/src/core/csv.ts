import type { FeatureView, Field } from './feature-view.ts';

/** Rows of a CSV text (RFC 4180: quotes, doubled quotes, line breaks inside quotes; CRLF or LF). Empty lines are skipped. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex;
    const match = cell.exec(text);
    if (match === null) throw new Error(`expected a comma or the end of a line after the cell at character ${at}`);
    const [, quoted, plain = '', end] = match;
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  }
  if (row.length > 0) rows.push([...row, '']); // the text ended with a comma
  return rows;
}

/** One entity's values in the order of the view's fields; undefined where the cell is empty. */
export type CsvRow = { entity: string; values: (number | boolean | undefined)[] };

/**
 * The columns of a view out of a table with a header. Other columns are ignored.
 * @throws Error that names the line and column of what is missing or no value of the field's type.
 */
export function rowsOfView(view: FeatureView, table: readonly string[][], keyColumn: string): CsvRow[] {
  const [header = [], ...lines] = table;
  const keyAt = header.indexOf(keyColumn);
  if (keyAt < 0) throw new Error(`expected a column "${keyColumn}" with the ids, got ${header.join(', ')}`);
  const columns = view.fields.map((field) => {
    const at = header.indexOf(field.name);
    if (at < 0) throw new Error(`view ${view.view}: expected a column "${field.name}", got ${header.join(', ')}`);
    return { field, at };
  });
  return lines.map((cells, index) => {
    const where = `line ${index + 2}`;
    const entity = cells[keyAt] ?? '';
    if (entity === '') throw new Error(`${where}: expected an id in column "${keyColumn}"`);
    return { entity, values: columns.map(({ field, at }) => readCell(field, cells[at] ?? '', where)) };
  });
}

function readCell(field: Field, cell: string, where: string): number | boolean | undefined {
  const text = cell.trim();
  if (text === '') return undefined;
  if (field.type === 'bool' && (text === 'true' || text === 'false')) return text === 'true';
  const value = Number(text); // also 1.00E+05
  const fits =
    field.type === 'bool' ? value === 0 || value === 1 : field.type === 'int' ? Number.isInteger(value) : true;
  if (!Number.isFinite(value) || !fits)
    throw new Error(`${where}, column "${field.name}": expected ${field.type}, got "${text}"`);
  return field.type === 'bool' ? value === 1 : value;
}
