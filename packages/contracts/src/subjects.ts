import type { TrafficClass } from './classes.ts';
import { type Name, toName } from './names.ts';

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

export const healthSubject = (instance: string): string => `spillway.v1.health.${name(instance, 'instance')}`;
export const ALL_HEALTH = 'spillway.v1.health.*';

export const loadSubject = (model: string): string => `spillway.v1.load.${name(model, 'model')}`;
export const ALL_LOAD = 'spillway.v1.load.*';

export const auditSubject = (what: string): string => `spillway.v1.audit.${name(what, 'what')}`;

export const cancelSubject = (gateway: string): string => `spillway.v1.cancel.${name(gateway, 'gateway')}`;
export const ALL_CANCELS = 'spillway.v1.cancel.*';

/** Every gateway answers on the reply subject with what it has counted. */
export const STATISTICS_SUBJECT = 'spillway.v1.statistics';

export const invalidateSubject = (what: string): string => `spillway.v1.invalidate.${name(what, 'what')}`;

/** Tenant and model of an event's subject, or undefined if it is none. */
export function parseEventsSubject(subject: string): { tenant: Name; model: Name } | undefined {
  const match = /^spillway\.v1\.events\.([A-Za-z0-9_-]{1,64})\.infer\.([A-Za-z0-9_-]{1,64})$/.exec(subject);
  if (!match) return undefined;
  return { tenant: match[1] as Name, model: match[2] as Name };
}
