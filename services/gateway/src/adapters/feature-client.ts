import type { Bus } from '@spillway/bus/bus';
import {
  FEATURES_METHOD,
  type FeatureFetch,
  type FeatureRows,
  type FetchRequest,
  type FetchResponse,
} from '@spillway/contracts/messages';
import { isErrorCode } from '@spillway/errors/catalogue';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Clock } from '@spillway/lifecycle/clock';
import { LookupBatch } from '../core/lookup-batch.ts';
import type { PipelinePorts } from '../core/pipeline-ports.ts';
import { type MeshPeers, meshPeers } from './mesh-peers.ts';

export type FeatureClient = {
  fetch: PipelinePorts['fetchFeatures'];
  [Symbol.asyncDispose](): Promise<void>;
};

const SWEEP_MS = 50;

const errorOf = (rows: FeatureRows): SpillwayError =>
  new SpillwayError(isErrorCode(rows.errorCode) ? rows.errorCode : 'INTERNAL', rows.errorMessage);

/**
 * Fetches of one turn travel in one message. Reading is idempotent: what a lost stream left unanswered is asked again on
 * the next one, and what finds no feature-service waits for its return, within the request's own deadline.
 */
export function featureClient({
  bus,
  clock,
  maxInFlight,
}: {
  bus: Bus;
  clock: Clock;
  maxInFlight: number;
}): FeatureClient {
  const lookups = new LookupBatch<FeatureFetch, FeatureRows>(clock, maxInFlight);
  const send = (fetches: FeatureFetch[]): void => {
    if (fetches.length > 0) peers.send({ fetches });
  };
  const peers: MeshPeers<FetchRequest> = meshPeers<FetchRequest, FetchResponse>({
    bus,
    clock,
    service: 'feature-service',
    method: FEATURES_METHOD,
    onMessage: ({ results }) => {
      for (const result of results) lookups.answer(result);
    },
    onUp: () => send(lookups.unanswered()),
    onDown: () => send(lookups.unanswered()),
  });
  const sweep = setInterval(() => lookups.expire(), SWEEP_MS);
  return {
    fetch: ({ views, entities, budgetMs, traceparent }, fetched) => {
      const ask = (id: number): FeatureFetch => ({ id, views, entities, budgetMs, traceparent });
      const first = lookups.ask(ask, clock.now() + budgetMs, (rows) => {
        if (rows === undefined) return; // the request has ended at its deadline
        fetched(rows.errorCode === '' ? rows.views : errorOf(rows));
      });
      if (first) setImmediate(() => send(lookups.take()));
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(sweep);
      await peers[Symbol.asyncDispose]();
    },
  };
}
