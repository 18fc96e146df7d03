import type { Attempt } from '../chain/attempt.ts';
import { Line, NOTHING, type QueuePolicy, type QueueSetting } from './queue-policy.ts';

const KEPT_SAMPLES = 50;
const REFRESH_MS = 5_000;
const TICK_MS = 1;
const DECAY = 0.95;

/**
 * BentoML's adaptive batching: one queue without classes; run time learned as a·n + b; the oldest request is answered 503 while
 * its wait and the predicted time of the whole queue exceed `max_latency_ms` (here the deadline); a small batch waits as long as
 * requests lately waited on average; the newest leave first.
 * https://docs.bentoml.com/en/latest/guides/adaptive-batching.html, src/bentoml/_internal/marshal/dispatcher.py
 */
export function bentoml({ maxRows, deadlineMs }: QueueSetting): QueuePolicy {
  const line = new Line();
  const samples: { rows: number; runMs: number; waitMs: number }[] = [];
  let [perRowMs, baseMs, waitMs] = [deadlineMs / 15, deadlineMs / 30, 10];
  let refreshedAtMs = 0;
  let lastWaitMs = 0;
  const refresh = (): void => {
    const n = samples.length;
    const mean = (of: (sample: (typeof samples)[number]) => number): number =>
      samples.reduce((sum, sample) => sum + of(sample), 0) / n;
    const [rows, runMs] = [mean((s) => s.rows), mean((s) => s.runMs)];
    const variance = mean((s) => (s.rows - rows) ** 2);
    if (variance > 0) perRowMs = Math.max(0.001, mean((s) => (s.rows - rows) * (s.runMs - runMs)) / variance);
    baseMs = Math.max(0, runMs - perRowMs * rows);
    waitMs = Math.max(
      0,
      mean((s) => s.waitMs),
    );
  };
  return {
    push: (attempt) => {
      line.push(attempt);
      return true;
    },
    take: (nowMs) => {
      const dropped: Attempt[] = [];
      for (let first = line.first(); first !== undefined && line.length > 1; first = line.first()) {
        if (nowMs - first.sentAtMs + perRowMs * line.length + baseMs < deadlineMs) break;
        dropped.push(line.shift() as Attempt);
      }
      const [first, last] = [line.first(), line.last()];
      if (first === undefined || last === undefined) return { ...NOTHING, dropped };
      const newestMs = nowMs - last.sentAtMs;
      if (line.length < maxRows && line.length * (newestMs + TICK_MS + perRowMs) <= waitMs * DECAY) {
        return { batch: [], dropped, retryInMs: TICK_MS };
      }
      lastWaitMs = nowMs - first.sentAtMs;
      const batch: Attempt[] = [];
      while (batch.length < maxRows && line.length > 0) batch.push(line.pop() as Attempt);
      return { batch, dropped, retryInMs: Number.POSITIVE_INFINITY };
    },
    ended: (rows, runMs, nowMs) => {
      samples.push({ rows, runMs, waitMs: lastWaitMs });
      if (samples.length > KEPT_SAMPLES) samples.shift();
      if (samples.length > 4 && nowMs - refreshedAtMs < REFRESH_MS) return;
      refreshedAtMs = nowMs;
      refresh();
    },
  };
}
