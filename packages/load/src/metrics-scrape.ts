import { METRICS } from '@spillway/telemetry/names';
import type { ScrapedMetrics } from './report.ts';

export type ScrapeOptions = {
  /** Addresses of /metrics. */
  urls: readonly string[];
  /** Names of gauges beside the rows that batchers hold. */
  gauges: readonly string[];
  everyMs: number;
  /** ms since the start of the run. */
  nowMs: () => number;
};

const TIMEOUT_MS = 1_000;

/** Reads gauges of services while a run goes on. A service that does not answer leaves a gap. */
export function startScrape({ urls, gauges, everyMs, nowMs }: ScrapeOptions): { stop(): ScrapedMetrics } {
  const names = [METRICS.queueRows.name, ...gauges];
  const timesMs: number[] = [];
  const series = new Map<string, (number | null)[]>();
  const sample = async (): Promise<void> => {
    const texts = await Promise.all(urls.map(read));
    const at = timesMs.push(nowMs()) - 1;
    const sums = new Map<string, number>();
    for (const text of texts) addGauges(text, names, sums);
    for (const [key, value] of sums) {
      const values = series.get(key) ?? [];
      values[at] = value;
      series.set(key, values);
    }
  };
  let isReading = false;
  const timer = setInterval(() => {
    if (isReading) return; // a slow service is read less often, not twice at a time
    isReading = true;
    void sample().finally(() => {
      isReading = false;
    });
  }, everyMs);
  return {
    stop: () => {
      clearInterval(timer);
      const seen = [...series].filter(([, values]) => values.some((value) => value !== 0));
      const named = seen.map(([key, values]) => {
        const [name = '', labels = ''] = key.split('\n');
        return { name, labels, values: timesMs.map((_, at) => values[at] ?? null) };
      });
      return { timesMs, series: named };
    },
  };
}

const read = async (url: string): Promise<string> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return await response.text();
  } catch {
    return '';
  }
};

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)$/;

/** Adds the gauges of one exposition to the sums, by name and labels; instances' own labels do not count. */
export function addGauges(text: string, names: readonly string[], sums: Map<string, number>): void {
  for (const line of text.split('\n')) {
    const [, name = '', labels = '', value = ''] = LINE.exec(line) ?? [];
    if (!names.includes(name)) continue;
    const kept = labels
      .split(',')
      .filter((label) => /^(class|model)=/.test(label))
      .map((label) => label.replace(/^\w+="(.*)"$/, '$1'))
      .join(' ');
    const key = `${name}\n${kept}`;
    sums.set(key, (sums.get(key) ?? 0) + Number(value));
  }
}
