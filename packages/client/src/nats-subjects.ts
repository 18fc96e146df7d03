import { badInput } from './errors.ts';

const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Text may become part of a subject only if it cannot be a wildcard or another level. */
function name(text: string, what: string): string {
  if (NAME.test(text)) return text;
  throw badInput(`${what}: expected 1 to 64 letters, digits, "_" or "-"`);
}

/** Where a tenant's events for a model are published. @throws SpillwayClientError `INVALID_REQUEST`. */
export const eventsSubject = (tenant: string, model: string): string =>
  `spillway.v1.events.${name(tenant, 'tenant')}.infer.${name(model, 'model')}`;

/** Where the result of a job appears. @throws SpillwayClientError `INVALID_REQUEST`. */
export const resultSubject = (tenant: string, job: string): string =>
  `spillway.v1.results.${name(tenant, 'tenant')}.${name(job, 'job')}`;

/** The stream that keeps results. */
export const RESULTS_STREAM = 'SPILLWAY_RESULTS';
