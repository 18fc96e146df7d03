import type { Effects } from './types.ts';

export const newEffects = (): Effects => ({
  level: 0,
  hedgesOff: false,
  lingerOff: false,
  traceDivisor: 1,
  staleAllowed: false,
  hurryFeatures: false,
  bulkToTicket: false,
  bulkFloorOnly: false,
  connectionsLimited: false,
  quietLogs: false,
});

/** What each level of brown-out switches: cheap comfort first, the lowest class last. */
export function applyLevel(effects: Effects, level: number): void {
  effects.level = level;
  effects.hedgesOff = level >= 1;
  effects.lingerOff = level >= 1;
  effects.traceDivisor = level >= 1 ? 10 : 1;
  effects.staleAllowed = level >= 2;
  effects.hurryFeatures = level >= 2;
  effects.bulkToTicket = level >= 3;
  effects.bulkFloorOnly = level >= 4;
  effects.connectionsLimited = level >= 4;
  effects.quietLogs = level >= 4;
}
