import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Facts about processes from Linux' /proc. Everything answers undefined where there is none, or no permission. */
const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** The 20th field after the name, in ticks since boot: with the pid it names one process for ever. */
export function startTicks(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in brackets may hold anything, so count from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z') return undefined; // ended, not yet collected by its parent
  return Number(fields[19]);
}

/** True if this very process lives, not another that got its number. */
export const isSameProcess = (pid: number, ticks: number | undefined): boolean => {
  const now = startTicks(pid);
  return now !== undefined && (ticks === undefined || now === ticks);
};

/**
 * Memory in bytes: `resident` counts the pages that a process shares with others (Node's own binary) in full, `share` its part of
 * them, so that shares may be summed.
 */
export type Memory = { resident: number; share: number };

/** Of a process and of all that it started. */
export function memoryOf(pid: number, children = childrenByParent()): Memory | undefined {
  const rollup = read(`/proc/${pid}/smaps_rollup`);
  const kilobytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup ?? '')?.[1] ?? Number.NaN);
  const own = { resident: kilobytes('Rss') * 1024, share: kilobytes('Pss') * 1024 };
  if (Number.isNaN(own.resident + own.share)) return undefined;
  return (children.get(pid) ?? []).reduce((sum, child) => {
    const theirs = memoryOf(child, children) ?? { resident: 0, share: 0 };
    return { resident: sum.resident + theirs.resident, share: sum.share + theirs.share };
  }, own);
}

/** Every process's direct children, in one pass over /proc. */
export function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const pid of pids()) {
    const stat = read(`/proc/${pid}/stat`);
    if (stat === undefined) continue;
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}

const pids = (): number[] => {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
};

/** Seconds since the process began. */
export function uptimeSeconds(pid: number): number | undefined {
  const ticks = startTicks(pid);
  const sinceBoot = Number(read('/proc/uptime')?.split(' ')[0] ?? Number.NaN);
  if (ticks === undefined || Number.isNaN(sinceBoot)) return undefined;
  return sinceBoot - ticks / 100; // USER_HZ is 100 on every Linux that Node runs on
}

/** Who listens on a TCP port: pid and command line. Sees only this user's processes unless run as root. */
export function portHolder(port: number): { pid: number; command: string } | undefined {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  for (const pid of pids()) {
    if (!openFiles(pid).some((target) => inodes.has(target))) continue;
    const command = read(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim() ?? '';
    return { pid, command };
  }
  return undefined;
}

/** `socket:[inode]` of the sockets that listen on a port; state 0A is LISTEN, addresses are hexadecimal. */
function listeningInodes(port: number): Set<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => read(path)?.split('\n').slice(1) ?? []);
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return new Set(fields.filter((f) => f[1]?.endsWith(suffix) && f[3] === '0A').map((f) => `socket:[${f[9]}]`));
}

function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return '';
      }
    });
  } catch {
    return [];
  }
}
