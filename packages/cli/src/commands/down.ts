import { setTimeout as delay } from 'node:timers/promises';
import { parseCommand } from '../args.ts';
import { CliError, type Context } from '../context.ts';
import { isSameProcess } from '../process-info.ts';
import { readState } from '../state-file.ts';

export const OPTIONS = { now: { type: 'boolean' } } as const;

/** Five stages of a drain, each with its own grace, and some slack. */
const LIMIT_MS = 75_000;

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values } = parseCommand('down', argv, OPTIONS);
  const state = readState(context.dataDir);
  if (!state) {
    context.say('no mesh is running');
    return 0;
  }
  context.say(values.now ? `ending pid ${state.pid} at once` : `draining pid ${state.pid}`);
  process.kill(state.pid, 'SIGTERM');
  const sinceMs = performance.now();
  let insisted = false;
  while (isSameProcess(state.pid, state.startTicks)) {
    if (values.now && !insisted) {
      insisted = true;
      await delay(50); // two signals at one moment would be seen as one
      signal(state.pid);
    }
    if (performance.now() - sinceMs > LIMIT_MS) {
      throw new CliError(`pid ${state.pid} has not ended after ${LIMIT_MS / 1000} s`, ['Try: ./spillway down --now']);
    }
    await delay(50);
  }
  context.say(`ended after ${((performance.now() - sinceMs) / 1000).toFixed(1)} s`);
  return 0;
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // it has ended by now
  }
}
