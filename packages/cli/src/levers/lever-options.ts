import { randomInt } from 'node:crypto';
import type { LeverScope, ModelRecord } from '@spillway/contracts/buckets';
import { CLASSES, isTrafficClass } from '@spillway/contracts/classes';
import { isName } from '@spillway/contracts/names';
import { CliError, usageError } from '../context.ts';
import { durationOption } from '../duration.ts';

export const DEFAULT_FOR = '15m';
export const LONGEST_FOR = '24h';

/** What the user typed about whom a lever is for and for how long. */
export type ScopeOptions = {
  class?: string | undefined;
  tenant?: string | undefined;
  model?: string | undefined;
  for?: string | undefined;
};

/** `50%` is a share of what is offered, `100` or `100/s` a rate. @throws CliError (exit code 2) for anything else. */
export function readBrake(text: string): { share: number } | { rate: number } {
  const [, number = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)(%|\/s)?$/.exec(text) ?? [];
  const value = number === '' ? Number.NaN : Number(number);
  if (unit === '%' && value < 100) return { share: value / 100 };
  if (unit !== '%' && value >= 0) return { rate: value };
  throw usageError(
    `brake: expected what may go on: a share from 0% to below 100%, or requests per second such as 200 or 200/s, got "${text}"`,
    'brake',
  );
}

/** @throws CliError (exit code 2) naming the option; a model is held against the catalogue by `knownModel`. */
export function readScope(command: string, options: ScopeOptions): LeverScope {
  const { class: trafficClass, tenant, model } = options;
  if (trafficClass !== undefined && !isTrafficClass(trafficClass))
    throw usageError(`--class: expected one of ${CLASSES.join(', ')}, got "${trafficClass}"`, command);
  if (tenant !== undefined && !isName(tenant))
    throw usageError(`--tenant: expected 1 to 64 letters, digits, "_" or "-", got "${tenant}"`, command);
  return {
    ...(model !== undefined && { model }),
    ...(trafficClass !== undefined && { class: trafficClass }),
    ...(tenant !== undefined && { tenant }),
  };
}

export const readFor = (command: string, text: string | undefined): number =>
  durationOption(command, 'for', text ?? DEFAULT_FOR, { min: '10s', max: LONGEST_FOR });

/** @throws CliError listing the models that there are. */
export function knownModel(name: string, models: ReadonlyMap<string, ModelRecord>): ModelRecord {
  const record = models.get(name);
  if (record !== undefined) return record;
  throw new CliError(`there is no model "${name}"`, [`Models: ${[...models.keys()].sort().join(', ') || 'none'}`], 2);
}

/** @throws CliError saying which variants the model may be degraded to, and why not to this one. */
export function checkVariant({ model, variants = [], degradeTo = [] }: ModelRecord, variant: string): void {
  if (degradeTo.includes(variant)) return;
  const isBelowFloor = variants.some(({ name }) => name === variant);
  const why = isBelowFloor ? ', which its model.yaml does not allow as a lighter one' : '';
  throw new CliError(
    `${model} cannot be degraded to "${variant}"${why}`,
    [`Variants that it may be degraded to: ${degradeTo.join(', ') || 'none'}`],
    2,
  );
}

const ID_LETTERS = 'abcdefghijkmnpqrstuvwxyz23456789';

/** Short, because people type it while something burns. */
export const newLeverId = (kind: 'brake' | 'degrade'): string =>
  `${kind}-${Array.from({ length: 5 }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('')}`;
