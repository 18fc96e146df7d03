import { HEADERS } from '@spillway/contracts/headers';
import { type Answer, unanswered } from './attempt.ts';

/** Value of a header, metadata or parameter by its lower-case name; '' if it is absent. */
export type Field = (name: string) => string;

const number = (text: string): number => (text === '' ? Number.NaN : Number(text));

/** What a server says about an answer; other servers than Spillway say nothing, and such answers count as whole. */
export const answered = (field: Field, wrong: boolean): Answer => ({
  end: field(HEADERS.rung) === 'ticket' ? 'ticket' : 'ok',
  reason: '',
  degraded: field(HEADERS.degraded) !== '',
  wrong,
  batchRows: number(field(HEADERS.batchSize)),
  queueMs: number(field(HEADERS.queueMs)),
  retryAfterMs: Number.NaN,
  trafficClass: field(HEADERS.trafficClass),
});

/** A typed refusal or failure; without a code of Spillway's the status decides. */
export function notAnswered(field: Field, status: { refused: boolean; text: string }): Answer {
  const seconds = number(field('retry-after'));
  const hint = field('retry-after-ms') || (Number.isNaN(seconds) ? '' : String(seconds * 1_000));
  return unanswered(field(HEADERS.error), field(HEADERS.reason), hint, status);
}
