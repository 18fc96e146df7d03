import type { TrafficClass } from './classes.ts';
import { isName, type Name, toName } from './names.ts';

/** Every NATS subject of the mesh is built here, from names that passed the allowlist. */
const name = (text: string, what: string): Name => toName(text, what);

export const workSubject = (trafficClass: TrafficClass, model: string): string =>
  `spillway.v1.work.${trafficClass}.${name(model, 'model')}`;

export const jobsSubject = (trafficClass: TrafficClass, model: string): string =>
  `spillway.v1.jobs.${trafficClass}.${name(model, 'model')}`;

export const eventsSubject = (tenant: string, model: string): string =>
  `spillway.v1.events.${name(tenant, 'tenant')}.infer.${name(model, 'model')}`;

export const resultSubject = (tenant: string, job: string): string =>
  `spillway.v1.results.${name(tenant, 'tenant')}.${name(job, 'job')}`;

export const dlqSubject = (reason: string): string => `spillway.v1.dlq.${name(reason, 'reason')}`;

export const ALL_DEAD_LETTERS = 'spillway.v1.dlq.>';

export const healthSubject = (instance: string): string => `spillway.v1.health.${name(instance, 'instance')}`;
export const ALL_HEALTH = 'spillway.v1.health.*';

export const loadSubject = (model: string): string => `spillway.v1.load.${name(model, 'model')}`;
export const ALL_LOAD = 'spillway.v1.load.*';

export const auditSubject = (what: string): string => `spillway.v1.audit.${name(what, 'what')}`;

export const cancelSubject = (gateway: string): string => `spillway.v1.cancel.${name(gateway, 'gateway')}`;
export const ALL_CANCELS = 'spillway.v1.cancel.*';

export const runningSubject = (batcher: string): string => `spillway.v1.running.${name(batcher, 'batcher')}`;
export const ALL_RUNNING = 'spillway.v1.running.*';

/** Every gateway answers on the reply subject with what it has counted. */
export const STATISTICS_SUBJECT = 'spillway.v1.statistics';

export const invalidateSubject = (what: string): string => `spillway.v1.invalidate.${name(what, 'what')}`;

/** Tenant of an event's subject, whatever follows it; undefined: there is none. */
export function tenantOfEvent(subject: string): Name | undefined {
  const tenant = /^spillway\.v1\.events\.([^.]+)/.exec(subject)?.[1] ?? '';
  return isName(tenant) ? tenant : undefined;
}

const MAX_REPLY_CHARACTERS = 256;

/**
 * Whether a result may be published there because its publisher asked for it: an inbox of a NATS client, or below the tenant's
 * own results. Printable ASCII without wildcards.
 */
export function isReplySubject(subject: string, tenant: string): boolean {
  if (subject.length > MAX_REPLY_CHARACTERS || !/^[!-)+-=?-~]+$/.test(subject)) return false;
  const below = ['_INBOX.', `spillway.v1.results.${tenant}.`].some((prefix) => subject.startsWith(prefix));
  return below && subject.split('.').every((token) => token !== '');
}

/** Tenant and model of an event's subject, or undefined if it is none. */
export function parseEventsSubject(subject: string): { tenant: Name; model: Name } | undefined {
  const match = /^spillway\.v1\.events\.([A-Za-z0-9_-]{1,64})\.infer\.([A-Za-z0-9_-]{1,64})$/.exec(subject);
  if (!match) return undefined;
  return { tenant: match[1] as Name, model: match[2] as Name };
}
