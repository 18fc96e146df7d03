import type { Trace, TraceSpan } from '../../src/traces/trace.ts';

export const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
export const BATCH_TRACE_ID = '7f3a2b1c5d6e4f708192a3b4c5d6e7f8';
const START_MS = 1_700_000_000_000;

type Given = Partial<TraceSpan> & { id: string; parent?: string; at: number; took: number };

const idOf = (text: string) => Buffer.from(text.padEnd(8, '_')).toString('hex').slice(0, 16);

/** A span with times relative to the trace's start, and ids made from short words. */
export function span({ id, parent, at, took, ...rest }: Given): TraceSpan {
  const service = rest.service ?? 'gateway';
  return {
    traceId: TRACE_ID,
    spanId: idOf(id),
    parentSpanId: parent === undefined ? '' : idOf(parent),
    name: id,
    kind: 'internal',
    service,
    instance: `${service}-1`,
    pid: 100 + service.length,
    startMs: START_MS + at,
    durationMs: took,
    attributes: {},
    links: [],
    ...rest,
  };
}

/** A `credit-risk` request through five services, in the shape that they record it. */
export function sampleTrace(): Trace {
  const request = {
    'spillway.request.id': 'req-7',
    'spillway.model': 'credit-risk',
    'spillway.class': 'vip',
    'spillway.rung': 'run',
  };
  const spans = [
    span({ id: 'request', at: 0, took: 12.4, kind: 'server', attributes: request }),
    span({
      id: 'cache',
      name: 'cache.get',
      parent: 'request',
      at: 0.2,
      took: 0.9,
      attributes: { 'spillway.cache': 'miss' },
    }),
    span({ id: 'lookup', name: 'cache.get', parent: 'cache', service: 'cache', at: 0.45, took: 0.312 }),
    span({ id: 'features', name: 'features.fetch', parent: 'request', at: 0.25, took: 3.5 }),
    span({
      id: 'redis',
      name: 'features.fetch',
      parent: 'features',
      service: 'feature-service',
      at: 0.6,
      took: 1.2,
      attributes: { 'spillway.source': 'redis' },
    }),
    span({
      id: 'sqlite',
      name: 'features.fetch',
      parent: 'features',
      service: 'feature-service',
      at: 0.61,
      took: 2.9,
      attributes: { 'spillway.source': 'sqlite' },
      error: { code: 'DEADLINE_EXCEEDED', message: 'budget of 3 ms used up' },
    }),
    span({ id: 'enqueue', parent: 'request', at: 3.8, took: 0.4, kind: 'producer' }),
    span({ id: 'queue', name: 'queue.wait', parent: 'request', service: 'batcher', at: 4.3, took: 3 }),
    span({
      id: 'execute',
      name: 'batch.execute',
      parent: 'request',
      service: 'gpu-worker',
      at: 7.4,
      took: 4.2,
      attributes: { 'spillway.batch.size': 3, 'spillway.batch.closed_by': 'deadline' },
      links: [{ traceId: BATCH_TRACE_ID, spanId: '00f067aa0ba902b7' }],
    }),
    span({ id: 'reply', parent: 'execute', service: 'gpu-worker', at: 11.5, took: 0.1 }),
  ];
  return { traceId: TRACE_ID, spans: spans.toSorted((a, b) => a.startMs - b.startMs) };
}
