import type { LoadLoop } from './loop.ts';
import { type Count, type Recorder, WINDOW_MS } from './recorder.ts';

/** What became of the requests of the second before last, per group: answers to those of the last one are still on their way. */
export type Progress = {
  atMs: number;
  lengthMs: number;
  phase: string;
  inFlight: number;
  groups: { name: string; offered: number; good: number; degraded: number; refused: number; bad: number }[];
};

const SECOND = 1_000 / WINDOW_MS;

export function progressOf(
  recorder: Recorder,
  loop: LoadLoop,
  { nowMs, lengthMs }: { nowMs: number; lengthMs: number },
): Progress {
  const to = (Math.floor(nowMs / 1_000) - 1) * SECOND;
  const groups = recorder.groups.map(({ name, counts }) => {
    const sum = (key: Count): number => counts[key].sum(to - SECOND, to);
    return {
      name,
      offered: sum('offered'),
      good: sum('good'),
      degraded: sum('degraded'),
      refused: sum('refused'),
      bad: sum('late') + sum('failed') + sum('wrong'),
    };
  });
  const phase = recorder.phases.find(({ toMs }) => nowMs <= toMs)?.label ?? 'after the end';
  return { atMs: nowMs, lengthMs, phase, inFlight: loop.inFlight, groups };
}

/** One line for a terminal. */
export function progressLine({ atMs, lengthMs, phase, inFlight, groups }: Progress): string {
  const seconds = `${Math.floor(atMs / 1_000)}/${Math.ceil(lengthMs / 1_000)} s`;
  const each = groups.map(({ name, offered, good, degraded, refused, bad }) => {
    const rest = [degraded > 0 && `degraded ${degraded}`, refused > 0 && `refused ${refused}`, bad > 0 && `bad ${bad}`];
    return `${name} ${good}/${offered} ${rest.filter((text) => text !== false).join(' ')}`.trim();
  });
  return `${seconds.padStart(9)}  ${phase}: ${each.join(' | ')}  in flight ${inFlight}`;
}
