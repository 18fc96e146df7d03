import { SegmentFiles } from './segment-files.ts';
import type { TraceSpan, TraceSummary } from './trace.ts';
import { type Found, TraceIndex } from './trace-index.ts';

export type TraceStoreOptions = {
  maxTraces?: number;
  maxSpansPerTrace?: number;
  /** Called once when traces can no longer be written to disk; they are still kept in memory. */
  onDiskFailure?: (cause: unknown) => void;
};

/**
 * The last traces, in memory and as JSON lines in a folder, so that they outlive the process that received them.
 * One process writes; others may open the same folder to read what it had written by then.
 */
export type TraceStore = AsyncDisposable & {
  add(spans: readonly TraceSpan[]): void;
  /** By trace id, by a prefix of at least 4 characters that only one trace has, or by a request's id. */
  find(id: string): Found;
  /** The last `n` traces, newest first. */
  list(n: number): TraceSummary[];
  /** Ends when all that was added is on disk. */
  flush(): Promise<void>;
};

/** Spans waiting for the disk; beyond it they are kept in memory only. */
const MAX_UNWRITTEN = 10_000;

/** @param dir Where the segments lie, `.spillway/traces`; made when the first span is added. */
export async function openTraceStore(dir: string, options: TraceStoreOptions = {}): Promise<TraceStore> {
  const { maxTraces = 1_000, maxSpansPerTrace = 1_000 } = options;
  const index = new TraceIndex({ maxTraces, maxSpansPerTrace });
  const files = await SegmentFiles.open(dir, (value) => {
    if (isSpan(value)) index.add(value);
  });
  const writer = new Writer(files, index, options.onDiskFailure ?? (() => {}));
  return {
    add: (spans) => writer.write(spans.filter((span) => index.add(span))),
    find: (id) => index.find(id),
    list: (n) => index.list(n),
    flush: () => writer.flush(),
    [Symbol.asyncDispose]: () => writer.flush(),
  };
}

/** Appends in the background, one write at a time, each with all that came during the one before. */
class Writer {
  readonly #files: SegmentFiles;
  readonly #index: TraceIndex;
  readonly #onFailure: (cause: unknown) => void;
  #unwritten: TraceSpan[] = [];
  #writing: Promise<void> | undefined;
  #failed = false;

  constructor(files: SegmentFiles, index: TraceIndex, onFailure: (cause: unknown) => void) {
    this.#files = files;
    this.#index = index;
    this.#onFailure = onFailure;
  }

  write(spans: readonly TraceSpan[]): void {
    if (this.#failed || spans.length === 0) return;
    if (this.#unwritten.length + spans.length <= MAX_UNWRITTEN) this.#unwritten.push(...spans);
    if (this.#writing === undefined && this.#unwritten.length > 0) this.#writing = this.#drain();
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#unwritten.length > 0) {
        const batch = this.#unwritten;
        this.#unwritten = [];
        await this.#files.append(batch);
        if (this.#files.shouldCompact) await this.#files.compact(this.#index.spans());
      }
    } catch (cause) {
      this.#failed = true;
      this.#unwritten = [];
      this.#onFailure(cause);
    } finally {
      this.#writing = undefined; // before anyone can add again: a turn later a span could be left lying
    }
  }
}

/** Guards against lines of another version or hand: what is drawn relies on these. */
function isSpan(value: unknown): value is TraceSpan {
  const span = value as Partial<TraceSpan> | null;
  return (
    typeof span?.traceId === 'string' &&
    typeof span.spanId === 'string' &&
    typeof span.parentSpanId === 'string' &&
    typeof span.name === 'string' &&
    typeof span.service === 'string' &&
    typeof span.startMs === 'number' &&
    typeof span.durationMs === 'number' &&
    typeof span.attributes === 'object' &&
    span.attributes !== null &&
    Array.isArray(span.links)
  );
}
