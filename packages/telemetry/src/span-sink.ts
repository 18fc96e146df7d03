import type { InstrumentationScope } from '@opentelemetry/core';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';

/** Where finished spans go: `start.ts` puts the SDK's batch processor here. Types only, so nothing of the SDK is loaded. */
export type SpanSink = {
  readonly resource: Resource;
  readonly scope: InstrumentationScope;
  accept(span: ReadableSpan): void;
};

/** The last one installed records; a list, so that two services in one process (tests) can come and go in any order. */
const installed: SpanSink[] = [];

/** Undefined: nothing is exported, and spans cost nothing. */
export let currentSink: SpanSink | undefined;

/** @returns Takes the sink out again. */
export function installSink(sink: SpanSink): () => void {
  installed.push(sink);
  currentSink = sink;
  return () => {
    const index = installed.indexOf(sink);
    if (index !== -1) installed.splice(index, 1);
    currentSink = installed.at(-1);
  };
}
