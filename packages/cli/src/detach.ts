import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError, type Context } from './context.ts';
import { logPath } from './mesh-plan.ts';

const FOLLOW_EVERY_MS = 50;

/**
 * Runs this very program in the background with other arguments, shows what it writes until it says that it is ready, and leaves
 * it alone then. Ctrl-C before that ends it.
 * @returns The exit code for this process.
 */
export async function runInBackground(context: Context, argv: string[]): Promise<number> {
  const path = logPath(context.dataDir, 'launcher');
  mkdirSync(dirname(path), { recursive: true });
  const log = openSync(path, 'w');
  const child = spawn(context.node, [join(context.root, 'packages', 'cli', 'src', 'main.ts'), ...argv], {
    cwd: context.cwd,
    env: context.env,
    detached: true, // its own session: it outlives this terminal
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const forward = () => child.kill('SIGTERM');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward);
  const ready = await followUntilReady(child, path, (text) => process.stderr.write(text));
  if (!ready) {
    if (child.exitCode === 0) return 1; // ended by our own signal
    return child.exitCode ?? 1;
  }
  child.disconnect();
  child.unref();
  return 0;
}

/** The other side: tells the waiting parent, if there is one, that it may go. */
export function tellReady(): void {
  process.send?.('ready', undefined, undefined, () => {}); // a parent that is gone is no fault
}

async function followUntilReady(child: ChildProcess, path: string, write: (text: string) => void): Promise<boolean> {
  const file = openSync(path, 'r');
  const buffer = Buffer.alloc(64 * 1024);
  const copy = () => {
    for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) {
      write(buffer.toString('utf8', 0, length));
    }
  };
  let outcome: 'ready' | 'ended' | undefined;
  child.once('message', () => {
    outcome = 'ready';
  });
  child.once('exit', () => {
    outcome = 'ended';
  });
  child.once('error', (error) => {
    throw new CliError(`cannot run ${child.spawnfile}: ${error.message}`);
  });
  try {
    while (outcome === undefined) {
      await delay(FOLLOW_EVERY_MS);
      copy();
    }
    copy();
    return outcome === 'ready';
  } finally {
    closeSync(file);
  }
}
