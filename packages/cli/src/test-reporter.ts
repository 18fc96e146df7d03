/**
 * A reporter of `node:test` that appends a line of JSON to the file named by SPILLWAY_TEST_REPORT, so that
 * `./spillway test` can count over all workspaces without reading anybody's console output. Loaded by NODE_OPTIONS, beside the
 * ordinary reporter.
 */
import { appendFileSync } from 'node:fs';
import type { TestEvent } from 'node:test/reporters';
import type { NamedTest, ReportLine, TimedFile } from './test-counts.ts';

// node:test takes a reporter only as a default export.
// biome-ignore lint/style/noDefaultExport: see above
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const failed: NamedTest[] = [];
  const skipped: NamedTest[] = [];
  const files: TimedFile[] = [];
  const workspace = process.env['npm_package_name'] ?? process.cwd();
  write({ pid: process.pid, begun: workspace });
  for await (const event of source) {
    if (event.type === 'test:fail' && event.data.details.type !== 'suite') failed.push(named(event.data));
    if (event.type === 'test:pass' && event.data.skip !== undefined) skipped.push(named(event.data, event.data.skip));
    if (event.type !== 'test:summary') continue;
    const { file, counts, duration_ms: ms } = event.data;
    if (file !== undefined) {
      files.push({ file, ms });
      continue;
    }
    // One without a file is the sum over all files.
    write({ pid: process.pid, ended: { workspace, passed: counts.passed, failed, skipped, files } });
  }
  yield '';
}

const named = (data: { name: string; file?: string }, reason?: string | boolean): NamedTest => ({
  name: data.name,
  file: data.file ?? '',
  reason: typeof reason === 'string' ? reason : '',
});

function write(line: ReportLine): void {
  const path = process.env['SPILLWAY_TEST_REPORT'];
  if (path) appendFileSync(path, `${JSON.stringify(line)}\n`);
}
