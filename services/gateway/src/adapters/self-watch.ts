import { getHeapStatistics } from 'node:v8';
import type { Clock } from '@spillway/lifecycle/clock';

const SAMPLE_MS = 20;
const SAMPLES_PER_HEAP = 5;
/** Of one sample in the moving mean of utilization: about 200 ms decide, so that one collection of garbage does not. */
const WEIGHT = 0.1;
/** So late for so long: whoever balances should send to another gateway. */
const UNREADY_LAG_MS = 50;
const UNREADY_AFTER_MS = 1_000;

export type SelfWatch = Disposable & {
  /** False: the event loop has been far behind for a second. */
  readonly inTime: boolean;
};

/**
 * How far this process is behind: the lateness of a timer and what its loop does with its time every 20 ms, the share of the heap
 * every 100 ms. A loop that has work and no processor is starved by others.
 */
export function watchSelf(
  clock: Clock,
  sees: {
    observeLag(lagMs: number, nowMs: number, use: { utilization: number; starved: number }): void;
    observeHeap(usedOverLimit: number): void;
  },
): SelfWatch {
  let dueMs = clock.now() + SAMPLE_MS;
  let lateSinceMs = Number.POSITIVE_INFINITY;
  let inTime = true;
  let samples = 0;
  let seen = performance.eventLoopUtilization();
  let ranMs = threadMs();
  let utilization = 0;
  let running = 0;
  let timer: NodeJS.Timeout;
  const sample = (): void => {
    const nowMs = clock.now();
    const lagMs = Math.max(0, nowMs - dueMs);
    utilization += WEIGHT * (performance.eventLoopUtilization(seen).utilization - utilization);
    seen = performance.eventLoopUtilization();
    const beforeMs = ranMs;
    ranMs = threadMs();
    running += WEIGHT * ((ranMs - beforeMs) / Math.max(1, nowMs - dueMs + SAMPLE_MS) - running);
    sees.observeLag(lagMs, nowMs, { utilization, starved: Math.max(0, utilization - running) });
    lateSinceMs = lagMs > UNREADY_LAG_MS ? Math.min(lateSinceMs, nowMs) : Number.POSITIVE_INFINITY;
    inTime = !(nowMs - lateSinceMs >= UNREADY_AFTER_MS);
    samples += 1;
    if (samples % SAMPLES_PER_HEAP === 0) {
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
      sees.observeHeap(used / limit);
    }
    dueMs = nowMs + SAMPLE_MS;
    timer = setTimeout(sample, SAMPLE_MS);
  };
  timer = setTimeout(sample, SAMPLE_MS);
  return {
    get inTime() {
      return inTime;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** Processor time of this thread so far. */
function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
