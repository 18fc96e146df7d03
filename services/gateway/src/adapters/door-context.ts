import type { Clock } from '@spillway/lifecycle/clock';
import type { RequestIds } from '@spillway/lifecycle/ids';
import type { Admission } from '../core/admission/admission.ts';
import type { KeyRing } from '../core/identity.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { RequestObserver } from '../telemetry.ts';
import type { ModelCatalogue } from './model-catalogue.ts';

/** What every door works with. */
export type DoorContext = {
  clock: Clock;
  ids: RequestIds;
  keys: KeyRing;
  pipeline: Pipeline;
  admission: Pick<Admission, 'atDoor' | 'beforeBody' | 'quotaOf'>;
  catalogue: ModelCatalogue;
  observer: RequestObserver;
  maxBodyBytes: number;
  isReady(): boolean;
};

/** What requests for inference need of it. */
export type InferContext = Omit<DoorContext, 'catalogue' | 'isReady'>;
