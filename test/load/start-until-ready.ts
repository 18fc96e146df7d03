import { setTimeout as delay } from 'node:timers/promises';
import { type ProcessOptions, type ServiceProcess, startProcess } from '@spillway/testing/process';

/** Starts a process that prints `ready` when it is. @throws Error with its last words if it ends before. */
export async function startUntilReady(options: ProcessOptions): Promise<ServiceProcess> {
  const child = await startProcess(options);
  while (!child.lines().includes('ready')) {
    if (!child.running) throw new Error(`${child.name} ended (${child.end}) before it was ready:\n${child.tail()}`);
    await delay(10);
  }
  return child;
}
