import { readFileSync, writeFileSync } from 'node:fs';
import type { Fields } from './field.ts';

const BEGIN = '<!-- config:begin -->';
const END = '<!-- config:end -->';

type Documented = { fields: Fields };

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The variables as a Markdown table, in the order of the fields. */
export function configTable(schema: Documented): string {
  const rows = Object.values(schema.fields).map((field) => {
    const fallback =
      field.fallback === undefined ? '**required**' : `\`${field.secret ? '***' : field.fallback.shown}\``;
    return `| \`${field.variable}\` | ${cell(field.expected)} | ${cell(fallback)} | ${cell(field.doc)} |`;
  });
  return ['| Variable | Expected | Default | Meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** The README with its table as the schema prints it. @throws Error when the two marks are missing. */
function withTable(readme: string, path: string, schema: Documented): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${path}: expected ${BEGIN} and ${END} around the table of variables`);
  return `${readme.slice(0, begin + BEGIN.length)}\n${configTable(schema)}\n${readme.slice(end)}`;
}

/** Writes the table between the marks of a README. @returns Whether the file changed. */
export function updateReadmeTable(path: string, schema: Documented): boolean {
  const readme = readFileSync(path, 'utf8');
  const updated = withTable(readme, path, schema);
  if (updated === readme) return false;
  writeFileSync(path, updated);
  return true;
}

/** For a test: whether the README says what the schema says. */
export function isReadmeTableCurrent(path: string, schema: Documented): boolean {
  const readme = readFileSync(path, 'utf8');
  return withTable(readme, path, schema) === readme;
}
