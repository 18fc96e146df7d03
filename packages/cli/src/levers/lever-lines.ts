import type { Lever } from '@spillway/contracts/buckets';
import { timeLeft } from '../duration.ts';
import { table } from '../table.ts';

/** `brake to 50 % of what is offered, class bulk`. */
export function describeLever(lever: Lever): string {
  return `${effectOf(lever)}, ${scopeOf(lever)}`;
}

/** The levers as a table, the one that ends next first. */
export function leverTable(levers: readonly Lever[], epochMs: number): string[] {
  const rows = [...levers]
    .sort((a, b) => a.expiresAt - b.expiresAt)
    .map((lever) => [lever.id, effectOf(lever), scopeOf(lever), timeLeft(lever.expiresAt - epochMs), lever.by]);
  return table(['lever', 'effect', 'for', 'left', 'by'], rows);
}

function effectOf(lever: Lever): string {
  if (lever.kind === 'degrade') return `degrade to ${lever.to}`;
  if (lever.share !== undefined) return `brake to ${Number((lever.share * 100).toFixed(3))} % of what is offered`;
  return `brake to ${lever.rate ?? 0} requests/s`;
}

function scopeOf({ model, class: trafficClass, tenant }: Lever): string {
  const parts = [
    model !== undefined && `model ${model}`,
    trafficClass !== undefined && `class ${trafficClass}`,
    tenant !== undefined && `tenant ${tenant}`,
  ].filter((part) => part !== false);
  return parts.join(', ') || 'everything';
}
