type SpanContext = { traceId: string; spanId: string; traceFlags: number; traceState?: { serialize(): string } };
type ActiveSpan = () => SpanContext | undefined;

let loaded: Promise<ActiveSpan> | undefined;

/** Without the package there is no span, and nothing is sent. */
async function load(): Promise<ActiveSpan> {
  try {
    const { trace, isSpanContextValid } = await import('@opentelemetry/api');
    return () => {
      const span = trace.getActiveSpan()?.spanContext();
      return span !== undefined && isSpanContextValid(span) ? span : undefined;
    };
  } catch {
    return () => undefined;
  }
}

/** `traceparent` and `tracestate` of the caller's active OpenTelemetry span, so that the mesh's spans hang below it. */
export async function traceHeaders(): Promise<Record<string, string>> {
  loaded ??= load();
  const span = (await loaded)();
  if (span === undefined) return {};
  const flags = (span.traceFlags & 0xff).toString(16).padStart(2, '0');
  const state = span.traceState?.serialize() ?? '';
  return {
    traceparent: `00-${span.traceId}-${span.spanId}-${flags}`,
    ...(state !== '' && { tracestate: state }),
  };
}
