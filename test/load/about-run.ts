import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { stolenText } from '@spillway/load/report-text';
import { watchStolen } from '@spillway/load/stolen';
import { REPO } from '@spillway/testing/find-binary';

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: REPO, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'not committed';
  }
}

const stolenShare = watchStolen();

/** When, what and where a benchmark ran, and how much of the machine it had. To be asked at the end. */
export const aboutRun = (): string =>
  `${new Date().toISOString().slice(0, 10)}, commit ${commit()}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}, Node ${process.version}; client, NATS and Redis on the same machine${stolenText(stolenShare())}.`;
