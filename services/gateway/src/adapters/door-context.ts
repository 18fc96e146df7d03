import type { Clock } from '@spillway/lifecycle/clock';
import type { RequestIds } from '@spillway/lifecycle/ids';
import type { Admission } from '../core/admission/admission.ts';
import type { KeyRing } from '../core/identity.ts';
import type { JobQuota } from '../core/job-quota.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { RequestObserver } from '../telemetry.ts';
import type { IdempotentCalls } from './idempotent-calls.ts';
import type { JobDesk } from './job-desk.ts';
import type { ModelCatalogue } from './model-catalogue.ts';
import type { ModelControl } from './model-control.ts';
import type { StatisticsExchange } from './statistics-exchange.ts';

/** What every door works with. */
export type DoorContext = {
  clock: Clock;
  ids: RequestIds;
  keys: KeyRing;
  pipeline: Pipeline;
  admission: Pick<Admission, 'atDoor' | 'beforeBody' | 'quotaOf'>;
  jobQuota: Pick<JobQuota, 'check' | 'charge'>;
  catalogue: ModelCatalogue;
  statistics: Pick<StatisticsExchange, 'gather'>;
  control: Pick<ModelControl, 'command'>;
  observer: RequestObserver;
  jobs: JobDesk;
  /** Requests with an idempotency key go through it. */
  keyed: Pick<IdempotentCalls, 'submit' | 'isKnown'>;
  maxBodyBytes: number;
  isReady(): boolean;
};

/** What requests for inference need of it. Without `jobs` no tickets are given, without `keyed` idempotency keys are nothing. */
export type InferContext = Omit<
  DoorContext,
  'catalogue' | 'statistics' | 'control' | 'isReady' | 'jobs' | 'keyed' | 'jobQuota'
> &
  Partial<Pick<DoorContext, 'jobs' | 'keyed' | 'jobQuota'>>;
