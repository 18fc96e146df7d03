import { o01 } from './o01.ts';
import { o02 } from './o02.ts';
import { o03 } from './o03.ts';
import { o04 } from './o04.ts';
import { o05 } from './o05.ts';
import { o06 } from './o06.ts';
import { o07 } from './o07.ts';
import { o08 } from './o08.ts';
import { o09 } from './o09.ts';
import { o10 } from './o10.ts';
import { o11 } from './o11.ts';
import { o12 } from './o12.ts';
import { o13 } from './o13.ts';
import { o14 } from './o14.ts';
import { o15 } from './o15.ts';
import { o16 } from './o16.ts';
import type { Scenario } from './scenario.ts';

/** The table of contents. */
export const SCENARIOS: readonly Scenario[] = [
  o01,
  o02,
  o03,
  o04,
  o05,
  o06,
  o07,
  o08,
  o09,
  o10,
  o11,
  o12,
  o13,
  o14,
  o15,
  o16,
];
