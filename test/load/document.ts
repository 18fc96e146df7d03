import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPO } from '@spillway/testing/find-binary';

const DOCUMENT = join(REPO, 'docs', 'benchmarks.md');

/**
 * Replaces what stands between `<!-- NAME:begin … -->` and `<!-- NAME:end -->` in docs/benchmarks.md.
 * @throws Error when the document has no such section.
 */
export function writeSection(name: string, text: string): void {
  const page = readFileSync(DOCUMENT, 'utf8');
  const begin = page.indexOf(`<!-- ${name}:begin`);
  const from = page.indexOf('-->', begin) + 3;
  const to = page.indexOf(`<!-- ${name}:end -->`);
  if (begin === -1 || to === -1) throw new Error(`${DOCUMENT}: expected the section "${name}"`);
  writeFileSync(DOCUMENT, `${page.slice(0, from)}\n${text}\n${page.slice(to)}`);
}

/** The result of a script: printed, and written into the section if one is named. */
export function publish(text: string, section: string): void {
  console.log(text);
  if (section !== '') writeSection(section, text);
}
