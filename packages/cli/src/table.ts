/** Rows under a head, columns as wide as their widest cell; numbers (as text) to the right. */
export function table(head: string[], rows: string[][]): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const isNumeric = head.map((_, column) =>
    rows.every((row) => /^[-\d.,%]*( ?(ms|s|MB|kB|%))?$/.test(row[column] ?? '')),
  );
  const line = (row: string[]): string =>
    row
      .map((cell, column) =>
        isNumeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [line(head), ...rows.map(line)];
}
