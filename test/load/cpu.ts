import { readdirSync, readFileSync } from 'node:fs';
import type { Mesh } from '@spillway/testing/mesh';

const TICKS_PER_SECOND = 100; // USER_HZ: the same on every Linux that Node runs on

/** Fields of /proc/<pid>/stat after the program's name, which may hold spaces. */
function stat(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // ended
  }
}

const parentOf = (pid: number): number => Number(stat(pid)?.[1] ?? 0);

/** CPU seconds that a process has used, user and system, all its threads. */
function cpuSeconds(pid: number): number {
  const fields = stat(pid);
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function residentMib(pid: number): number {
  const fields = stat(pid);
  return fields === undefined ? 0 : (Number(fields[21]) * 4_096) / 2 ** 20;
}

/** Of NATS and of every service of a mesh; the first instance of each has the service's name. */
export function pidsOf(mesh: Pick<Mesh, 'nats' | 'instances'>): Record<string, number> {
  const pids: Record<string, number> = { nats: mesh.nats.pid };
  for (const { name, pid } of mesh.instances) pids[name.replace(/-1$/, '')] = pid;
  return pids;
}

/** Adds the children of the named processes (executors) under `<name> child`. */
export function withChildren(pids: Readonly<Record<string, number>>): Record<string, number[]> {
  const all: Record<string, number[]> = {};
  for (const [name, pid] of Object.entries(pids)) all[name] = [pid];
  for (const entry of readdirSync('/proc')) {
    const child = Number(entry);
    if (!Number.isInteger(child)) continue;
    const parent = parentOf(child);
    for (const [name, pid] of Object.entries(pids)) {
      if (pid !== parent) continue;
      all[`${name} child`] ??= [];
      all[`${name} child`]?.push(child);
    }
  }
  return all;
}

const sumBy = (pids: Record<string, number[]>, of: (pid: number) => number): Record<string, number> =>
  Object.fromEntries(Object.entries(pids).map(([name, list]) => [name, list.reduce((sum, pid) => sum + of(pid), 0)]));

/** CPU seconds by name. */
export const cpuOf = (pids: Record<string, number[]>): Record<string, number> => sumBy(pids, cpuSeconds);

/** Resident memory in MiB by name; pages that processes share count in each. */
export const residentOf = (pids: Record<string, number[]>): Record<string, number> => sumBy(pids, residentMib);
