import type { Trace, TraceSpan } from './trace.ts';

export type SpanTree = { span: TraceSpan; children: SpanTree[] };

/**
 * Hangs spans below their parents, each level by start. A span whose parent has not arrived is a root, and so are
 * spans that are their own ancestors, which no honest sender makes: every span is in the result exactly once.
 */
export function spanTree({ spans }: Trace): SpanTree[] {
  const nodes = new Map(spans.map((span) => [span.spanId, { span, children: [] } as SpanTree]));
  const roots: SpanTree[] = [];
  for (const node of inOrder(nodes.values())) {
    const parent = nodes.get(node.span.parentSpanId);
    if (parent === undefined || leadsBack(nodes, node)) roots.push(node);
    else parent.children.push(node);
  }
  return roots;
}

const inOrder = (nodes: Iterable<SpanTree>): SpanTree[] =>
  [...nodes].sort((a, b) => a.span.startMs - b.span.startMs || b.span.durationMs - a.span.durationMs);

/** True when following the parents of `node` comes back to it. */
function leadsBack(nodes: ReadonlyMap<string, SpanTree>, node: SpanTree): boolean {
  const seen = new Set<string>();
  let at = nodes.get(node.span.parentSpanId);
  while (at !== undefined && !seen.has(at.span.spanId)) {
    if (at === node) return true;
    seen.add(at.span.spanId);
    at = nodes.get(at.span.parentSpanId);
  }
  return false;
}
