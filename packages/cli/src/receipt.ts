import { HEADERS } from '@spillway/contracts/headers';
import type { Answer } from './door.ts';

/** What the mesh says about how it answered, in two short lines; headers that are absent are left out. */
export function receiptLines({ headers, tookMs }: Answer): string[] {
  const value = (name: string): string | undefined => headers[name] || undefined;
  const facts = [
    `${tookMs.toFixed(1)} ms here`,
    labelled('rung', value(HEADERS.rung)),
    labelled('queue', value(HEADERS.queueMs), ' ms'),
    labelled('run', value(HEADERS.runMs), ' ms'),
    labelled('batch of', value(HEADERS.batchSize)),
    labelled('closed by', value(HEADERS.closedBy)),
    labelled('cache', value(HEADERS.cache)),
    labelled('version', value(HEADERS.modelVersion)),
    labelled('worker', value(HEADERS.worker)),
    labelled('degraded:', value(HEADERS.degraded)),
  ].filter((fact) => fact !== '');
  const ids = [labelled('request', value(HEADERS.requestId)), labelled('see ./spillway trace', value(HEADERS.traceId))];
  return [facts.join(', '), ids.filter((id) => id !== '').join('; ')].filter((line) => line !== '');
}

const labelled = (label: string, value: string | undefined, unit = ''): string =>
  value === undefined ? '' : `${label} ${value}${unit}`;
