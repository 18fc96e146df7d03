import { Worker } from 'node:worker_threads';
import type { Done, Task } from './tasks.ts';

/** Runs tasks in threads, the next one wherever a thread is free. Resolves in the order of the tasks. */
export async function runAll(tasks: readonly Task[], jobs: number, onDone: (done: Done) => void): Promise<Done[]> {
  const results: Done[] = new Array(tasks.length);
  let next = 0;
  const runOne = async (): Promise<void> => {
    if (next >= tasks.length) return;
    const worker = new Worker(new URL('./worker.ts', import.meta.url));
    try {
      while (next < tasks.length) {
        const index = next;
        next += 1;
        const done = await ask(worker, tasks[index] as Task);
        results[index] = done;
        onDone(done);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, tasks.length) }, runOne));
  return results;
}

function ask(worker: Worker, task: Task): Promise<Done> {
  const { promise, resolve, reject } = Promise.withResolvers<Done>();
  const onMessage = (done: Done): void => {
    worker.off('error', reject);
    resolve(done);
  };
  worker.once('message', onMessage);
  worker.once('error', reject);
  worker.postMessage(task);
  return promise;
}
