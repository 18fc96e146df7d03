import { readdirSync } from 'node:fs';
import type { Metrics } from './metrics.ts';

/**
 * What every dashboard asks of a process, under the names that prom-client and Node's dashboards use. All are read when
 * rendered; nothing runs in between. prom-client's own set would hold a timer at 100 Hz and an observer of each garbage
 * collection, and walks all handles at each scrape.
 */
export function registerProcessMetrics(metrics: Metrics): void {
  const read = (name: string, help: string, value: () => number) =>
    metrics.gauge(name, help, [], (gauge) => gauge.set({}, value()));
  const epochSeconds = Math.round(performance.timeOrigin / 1_000);
  let sinceLast = performance.eventLoopUtilization();

  read('process_start_time_seconds', 'Start of the process, seconds since the epoch', () => epochSeconds);
  read('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
  read('nodejs_heap_size_used_bytes', 'JavaScript heap in use', () => process.memoryUsage().heapUsed);
  read('nodejs_external_memory_bytes', 'Memory of buffers outside the heap', () => process.memoryUsage().external);
  read('process_open_fds', 'Open file descriptors; 0 where /proc is missing', openFileDescriptors);
  read('nodejs_eventloop_utilization_ratio', 'Share of time the event loop was busy since the last scrape', () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, sinceLast);
    sinceLast = now;
    return utilization;
  });
  metrics.gauge('nodejs_version_info', 'Version of Node in use', ['version']).set({ version: process.version }, 1);

  let countedSeconds = 0;
  metrics.counter('process_cpu_seconds_total', 'Processor time used, user and system', [], (counter) => {
    const { user, system } = process.cpuUsage();
    const seconds = (user + system) / 1e6;
    counter.inc({}, seconds - countedSeconds);
    countedSeconds = seconds;
  });
}

function openFileDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
