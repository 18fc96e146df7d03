import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { stolenText } from '@spillway/load/report-text';
import { stolenMs } from '@spillway/load/stolen';
import { REPO } from '@spillway/testing/find-binary';

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: REPO, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'not committed';
  }
}

const stolenBeforeMs = stolenMs() ?? 0;

/** Share of the machine's processors that its host gave to others since this process began. */
const stolenShare = (): number => ((stolenMs() ?? 0) - stolenBeforeMs) / (process.uptime() * 1_000 * cpus().length);

/** When, what and where a benchmark ran, and how much of the machine it had. To be asked at the end. */
export const aboutRun = (): string =>
  `${new Date().toISOString().slice(0, 10)}, commit ${commit()}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}, Node ${process.version}; client, NATS and Redis on the same machine${stolenText(stolenShare())}.`;
