import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { withChildren } from '../cpu.ts';

const pin = (core: string, pid: number): void => void execFileSync('taskset', ['-acp', core, String(pid)]);

/** Puts the workers with their executors alone on the last core, and everything else of the mesh on the others. */
export function pinWorkers(workers: Readonly<Record<string, number>>, others: readonly number[]): void {
  const last = cpus().length - 1;
  if (last < 1) throw new Error('--pin: expected at least two cores');
  for (const pid of others) pin(`0-${last - 1}`, pid);
  for (const pids of Object.values(withChildren(workers))) for (const pid of [pids].flat()) pin(String(last), pid);
}
