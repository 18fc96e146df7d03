import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import type { Mesh } from '@spillway/testing/mesh';
import { withChildren } from '../cpu.ts';

const pin = (core: string, pid: number): void => void execFileSync('taskset', ['-acp', core, String(pid)]);

/** Puts the workers with their executors alone on the last core, and everything else, this process too, on the others. */
export function pinWorkers(mesh: Mesh): void {
  const last = cpus().length - 1;
  if (last < 1) throw new Error('--pin: expected at least two cores');
  const workers = mesh.of('gpu-worker').map(({ name, pid }) => [name, pid]);
  const others = [process, mesh.nats, mesh.redis, ...mesh.instances];
  for (const { pid } of others) pin(`0-${last - 1}`, pid);
  for (const pids of Object.values(withChildren(Object.fromEntries(workers))))
    for (const pid of [pids].flat()) pin(String(last), pid);
}
