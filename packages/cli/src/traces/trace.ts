/** Points at one span of some trace; ids are lower-case hex. */
export type SpanRef = { traceId: string; spanId: string };

export type ScalarAttribute = string | number | boolean;
export type SpanKind = 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** One finished span, as it is kept in memory, in a file and in the receiver's answers: plain JSON. */
export type TraceSpan = SpanRef & {
  /** '' for a root. */
  parentSpanId: string;
  name: string;
  kind: SpanKind;
  service: string;
  instance: string;
  /** 0: unknown. */
  pid: number;
  /** ms since the epoch, with its fraction; exact to about 0.3 µs. */
  startMs: number;
  durationMs: number;
  attributes: { [name: string]: ScalarAttribute | ScalarAttribute[] };
  links: SpanRef[];
  error?: { code: string; message: string };
};

/** Spans by start. Not all may have arrived: each process sends its own about once a second. */
export type Trace = { traceId: string; spans: TraceSpan[] };

export type TraceSummary = {
  traceId: string;
  /** '' when no span names one: a batch. */
  requestId: string;
  /** Of the outermost span. */
  name: string;
  service: string;
  startMs: number;
  /** From the first start to the last end. */
  durationMs: number;
  spans: number;
  services: number;
  /** Code of the outermost span that failed, '' when none did. */
  error: string;
};

/** The outermost span: the first whose parent is not in the trace. */
export function rootOf({ spans }: Trace): TraceSpan | undefined {
  const ids = new Set(spans.map((span) => span.spanId));
  return spans.find((span) => !ids.has(span.parentSpanId)) ?? spans[0];
}

/** From the first start to the last end, ms since the epoch. */
export function extentOf({ spans }: Trace): { startMs: number; endMs: number } {
  let startMs = Number.POSITIVE_INFINITY;
  let endMs = Number.NEGATIVE_INFINITY;
  for (const span of spans) {
    startMs = Math.min(startMs, span.startMs);
    endMs = Math.max(endMs, span.startMs + span.durationMs);
  }
  return spans.length === 0 ? { startMs: 0, endMs: 0 } : { startMs, endMs };
}
