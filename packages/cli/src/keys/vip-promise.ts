import type { KeyRecord } from '@spillway/contracts/buckets';
import {
  type ModelCapacity,
  promisedToVip,
  type Verdict,
  VIP_SHARE,
  vipProvisioning,
} from '@spillway/contracts/provisioning';
import { CliError } from '../context.ts';

const perSecond = (rate: number): string => `${Math.round(rate * 1_000).toLocaleString('en-US')} ms/s`;

/**
 * Holds a new vip key with a quota against what the models can do beside the keys that are there.
 * @returns What its owner should know.
 * @throws CliError with the figures when a model could not keep the promise.
 */
export function checkVipPromise(
  key: Omit<KeyRecord, 'sha256'>,
  others: Iterable<KeyRecord>,
  capacities: readonly ModelCapacity[],
  epochMs: number,
): string[] {
  if (key.class !== 'vip') return [];
  if (key.quota?.costPerSecond === undefined) {
    return [
      'This vip key has no --quota: nothing is promised to it, and nothing bounds what it takes from other vip keys.',
    ];
  }
  const before = promisedToVip(others, epochMs);
  const added = key.quota.costPerSecond / 1_000;
  const verdicts = vipProvisioning(before + added, capacities);
  const broken = verdicts.filter(({ holds }) => !holds);
  if (broken.length > 0) {
    throw new CliError(
      `--quota: ${perSecond(added)} beside the ${perSecond(before)} of the other vip keys is more than can be promised`,
      broken.map((verdict) => figures(verdict, capacities)),
    );
  }
  if (verdicts.length === 0) return ['No batcher tells what its models can do, so this quota was not checked.'];
  const alone = verdicts.filter(({ survivesLoss }) => !survivesLoss).map(({ model }) => model);
  return alone.length === 0
    ? []
    : [`Served by one worker, so nothing is promised while it is lost: ${alone.join(', ')}`];
}

function figures({ model, promised, limit }: Verdict, capacities: readonly ModelCapacity[]): string {
  const { capacity, workers } = capacities.find((one) => one.model === model) ?? { capacity: 0, workers: 1 };
  const left = workers > 1 ? `without one of its ${workers} workers` : 'with its one worker';
  const base = workers > 1 ? capacity * (1 - 1 / workers) : capacity;
  const share = `${VIP_SHARE * 100} % of the ${perSecond(base)} that it can do ${left}`;
  return `${model}: at most ${perSecond(limit)} (${share}), would be promised ${perSecond(promised)}`;
}
