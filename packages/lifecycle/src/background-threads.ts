import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setFlagsFromString } from 'node:v8';

const THREADS = '/proc/self/task';
/** As Node names the threads on which V8 compiles and collects garbage. */
const NAME = 'V8Worker';
const NICE = 10;

/**
 * Lets V8's background threads have only what requests leave of the processor. When a flood makes new code hot, four threads of
 * each process compile it; on a machine with few cores they then stand in line beside the thread that answers, for milliseconds
 * at a time. And since nobody may wait for a thread that gives way, the short garbage collections are done without them.
 *
 * Linux only, where a thread has a priority of its own; elsewhere nothing changes. Calling it again changes nothing either.
 */
export function yieldBackgroundThreads(): void {
  let threads: string[];
  try {
    threads = readdirSync(THREADS);
  } catch {
    return; // not Linux
  }
  setFlagsFromString('--no-parallel-scavenge');
  for (const thread of threads) {
    try {
      const name = readFileSync(`${THREADS}/${thread}/comm`, 'utf8').trim();
      if (name === NAME) setPriority(Number(thread), NICE);
    } catch {
      // The thread has ended, or priorities are not to be changed here.
    }
  }
}
