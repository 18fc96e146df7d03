import { ATTRIBUTES } from '@spillway/telemetry/names';
import { extentOf, rootOf, type Trace, type TraceSpan, type TraceSummary } from './trace.ts';

export type Found = { kind: 'trace'; trace: Trace } | { kind: 'ambiguous'; traceIds: string[] } | { kind: 'none' };

export type TraceIndexOptions = {
  maxTraces: number;
  /** Spans beyond are dropped: one runaway trace does not cost the others their memory. */
  maxSpansPerTrace: number;
};

/** Shorter prefixes are typing errors more often than ids. */
const SHORTEST_PREFIX = 4;

/** The last traces by the arrival of their first span, in memory, found by trace id, its prefix or a request's id. */
export class TraceIndex {
  readonly #options: TraceIndexOptions;
  /** Oldest first, as a Map keeps the order of insertion. */
  readonly #traces = new Map<string, Map<string, TraceSpan>>();
  /** The newest trace of a request id: a caller may repeat one. */
  readonly #byRequest = new Map<string, string>();

  constructor(options: TraceIndexOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#traces.size;
  }

  /** False: the span was there already (an export that was repeated), or its trace is full. */
  add(span: TraceSpan): boolean {
    const spans = this.#traces.get(span.traceId) ?? this.#open(span.traceId);
    if (spans.has(span.spanId) || spans.size >= this.#options.maxSpansPerTrace) return false;
    spans.set(span.spanId, span);
    const requestId = requestIdOf(span);
    if (requestId !== '') this.#byRequest.set(requestId, span.traceId);
    return true;
  }

  #open(traceId: string): Map<string, TraceSpan> {
    const spans = new Map<string, TraceSpan>();
    this.#traces.set(traceId, spans);
    if (this.#traces.size > this.#options.maxTraces) this.#dropOldest();
    return spans;
  }

  #dropOldest(): void {
    for (const [traceId, spans] of this.#traces) {
      this.#traces.delete(traceId);
      for (const span of spans.values()) {
        const requestId = requestIdOf(span);
        if (this.#byRequest.get(requestId) === traceId) this.#byRequest.delete(requestId);
      }
      return;
    }
  }

  /** @param id A trace id, a prefix of one that no other trace shares, or a request's id. */
  find(id: string): Found {
    const wanted = id.toLowerCase();
    const exact = this.#byRequest.get(id) ?? (this.#traces.has(wanted) ? wanted : undefined);
    if (exact !== undefined) return { kind: 'trace', trace: this.#trace(exact) };
    if (wanted.length < SHORTEST_PREFIX) return { kind: 'none' };
    const traceIds = [...this.#traces.keys()].filter((traceId) => traceId.startsWith(wanted));
    if (traceIds.length > 1) return { kind: 'ambiguous', traceIds };
    const only = traceIds[0];
    return only === undefined ? { kind: 'none' } : { kind: 'trace', trace: this.#trace(only) };
  }

  /** The last `n` traces, newest first. */
  list(n: number): TraceSummary[] {
    const newest = [...this.#traces.keys()].slice(-Math.max(1, n)).reverse();
    return newest.map((traceId) => summarise(this.#trace(traceId)));
  }

  /** All spans, trace by trace, oldest first. */
  *spans(): Generator<TraceSpan> {
    for (const spans of this.#traces.values()) yield* spans.values();
  }

  #trace(traceId: string): Trace {
    const spans = [...(this.#traces.get(traceId)?.values() ?? [])];
    return { traceId, spans: spans.sort((a, b) => a.startMs - b.startMs) };
  }
}

function requestIdOf(span: TraceSpan): string {
  const id = span.attributes[ATTRIBUTES.requestId];
  return typeof id === 'string' ? id : '';
}

function summarise(trace: Trace): TraceSummary {
  const root = rootOf(trace);
  const { startMs, endMs } = extentOf(trace);
  return {
    traceId: trace.traceId,
    requestId: trace.spans.map(requestIdOf).find((id) => id !== '') ?? '',
    name: root?.name ?? '',
    service: root?.service ?? '',
    startMs,
    durationMs: endMs - startMs,
    spans: trace.spans.length,
    services: new Set(trace.spans.map((span) => span.service)).size,
    error: root?.error?.code ?? trace.spans.find((span) => span.error !== undefined)?.error?.code ?? '',
  };
}
