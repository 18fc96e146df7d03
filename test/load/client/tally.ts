import type { Histogram } from '@spillway/load/histogram';

/** Latencies in ms; `clientCpuSeconds` over warm-up and measurement together, as `allRequests` is. */
export type LoadResult = {
  requests: number;
  allRequests: number;
  perSecond: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  wrong: number;
  failed: Record<string, number>;
  meanBatch: number;
  cacheHits: number;
  clientCpuSeconds: number;
};

export const TOLERANCE = 1e-5;
const BATCH_HEADER = 'spillway-batch-size: ';

const lastFloat = (text: string): number => Buffer.from(text.slice(-4), 'latin1').readFloatLE(0);

function firstNumber(text: string, from: number): number {
  const at = text.indexOf('"data":[', from);
  return at === -1 ? Number.NaN : Number.parseFloat(text.slice(at + 8, at + 40));
}

/** Counts answers and compares each with what plain ONNX Runtime said. */
export class Tally {
  readonly #expected: Float32Array;
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #latencies: Histogram;
  readonly #failed: Record<string, number> = {};
  #all = 0;
  #wrong = 0;
  #batches = 0;
  #batchSum = 0;
  #cacheHits = 0;

  constructor(expected: Float32Array, startMs: number, endMs: number, latencies: Histogram) {
    this.#expected = expected;
    this.#startMs = startMs;
    this.#endMs = endMs;
    this.#latencies = latencies;
  }

  /** An HTTP/1.1 response in Latin-1; its JSON begins at `bodyAt`, or its last four bytes are the number. */
  answered(index: number, sentMs: number, text: string, bodyAt: number | 'binary'): void {
    const status = text.slice(9, 12);
    if (status !== '200') {
      this.failed(status);
      return;
    }
    const batchAt = text.indexOf(BATCH_HEADER);
    const batch = batchAt === -1 ? 0 : Number.parseInt(text.slice(batchAt + BATCH_HEADER.length, batchAt + 28), 10);
    if (text.includes('spillway-cache: hit')) this.#cacheHits += 1;
    this.value(index, sentMs, bodyAt === 'binary' ? lastFloat(text) : firstNumber(text, bodyAt), batch);
  }

  /** One answer's number. `batch` 0: not told. */
  value(index: number, sentMs: number, y: number, batch: number): void {
    const nowMs = performance.now();
    this.#all += 1;
    if (!(Math.abs(y - (this.#expected[index] as number)) <= TOLERANCE)) this.#wrong += 1;
    if (sentMs < this.#startMs || nowMs >= this.#endMs) return;
    this.#latencies.record((nowMs - sentMs) * 1_000);
    if (batch > 0) {
      this.#batches += 1;
      this.#batchSum += batch;
    }
  }

  failed(what: string): void {
    this.#failed[what] = (this.#failed[what] ?? 0) + 1;
  }

  result(clientCpuSeconds: number): LoadResult {
    const latencies = this.#latencies;
    const requests = latencies.total;
    return {
      requests,
      allRequests: this.#all,
      perSecond: requests / ((this.#endMs - this.#startMs) / 1_000),
      p50: latencies.quantileMs(0.5),
      p90: latencies.quantileMs(0.9),
      p99: latencies.quantileMs(0.99),
      p999: latencies.quantileMs(0.999),
      wrong: this.#wrong,
      failed: this.#failed,
      meanBatch: this.#batches === 0 ? 0 : this.#batchSum / this.#batches,
      cacheHits: this.#cacheHits,
      clientCpuSeconds,
    };
  }
}
