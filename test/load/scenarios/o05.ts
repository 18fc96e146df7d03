import { setTimeout as delay } from 'node:timers/promises';
import type { Case, Scenario } from './scenario.ts';
import { floodOfAll, loadGateways } from './several-gateways.ts';

const CALM_S = 10;
/** Silence begins so long before the flood. */
const BEFORE_MS = 200;
const SILENCE_MS = 5_000;

type Stale = { name: string; floodS: number; atLeast: number; delayMs?: number; silent?: boolean };

const stale = ({ name, floodS, atLeast, delayMs = 0, silent = false }: Stale): Case => ({
  name,
  loadFaults: true,
  mesh: { scale: { gateway: 2, batcher: 2 } },
  run: async (context) => {
    const { loadFaults } = context;
    loadFaults.delayMs = delayMs;
    let begun = false;
    const silenceFrom = async (atMs: number): Promise<void> => {
      begun = true;
      await delay(1_000 * CALM_S - BEFORE_MS - atMs);
      loadFaults.silent = true;
      await delay(SILENCE_MS);
      loadFaults.silent = false;
    };
    const reports = await loadGateways(context, {
      parts: [0.7, 0.3],
      times: 5,
      seconds: { calm: CALM_S, flood: floodS, after: 5 },
      onProgress: ({ atMs }) => {
        if (silent && !begun) void silenceFrom(atMs);
      },
    });
    return floodOfAll(reports, { goodput: { atLeast } });
  },
});

export const o05: Scenario = {
  id: 'O5',
  title:
    '5× with state delayed by 50, 250, 1,000 ms; with none for 5 s from just before the step; 2 gateways, 2 batchers',
  cases: [
    stale({ name: '50 ms', delayMs: 50, floodS: 15, atLeast: 97 }),
    stale({ name: '250 ms', delayMs: 250, floodS: 15, atLeast: 95 }),
    stale({ name: '1,000 ms', delayMs: 1_000, floodS: 15, atLeast: 90 }),
    stale({ name: 'silent 5 s', silent: true, floodS: 5, atLeast: 90 }),
  ],
};
