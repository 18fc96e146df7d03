import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Where a virtual machine is not alone on its host, the host gives its processors to others, and no process can tell. */

const TICK_MS = 10; // USER_HZ, as Linux shows times in /proc whatever its own clock is
const STEAL = 8; // of the fields user, nice, system, idle, iowait, irq, softirq, steal, behind the name

/** ms of processor time that the host withheld from this machine since its start, all processors together. Undefined: it does not say. */
export function stolenMs(stat = readStat()): number | undefined {
  const [name, ...fields] = stat.slice(0, stat.indexOf('\n')).trim().split(/\s+/);
  const ticks = Number(fields[STEAL - 1]);
  return name === 'cpu' && Number.isInteger(ticks) ? ticks * TICK_MS : undefined;
}

/** Begins to measure. @returns What tells the share of the machine's processors that was withheld since; null: the host does not say. */
export function watchStolen(): () => number | null {
  const beforeMs = stolenMs();
  const startMs = performance.now();
  return () => {
    const nowMs = stolenMs();
    if (beforeMs === undefined || nowMs === undefined) return null;
    return (nowMs - beforeMs) / ((performance.now() - startMs) * cpus().length);
  };
}

function readStat(): string {
  try {
    return readFileSync('/proc/stat', 'latin1');
  } catch {
    return ''; // not Linux
  }
}
