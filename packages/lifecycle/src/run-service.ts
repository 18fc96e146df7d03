import { yieldBackgroundThreads } from './background-threads.ts';
import { exitWithin, untilSignal } from './signals.ts';

/** A service that has started. */
export type RunningService = AsyncDisposable & { drain(timeoutMs: number): Promise<void> };

/** How long after everything is closed the process may still be alive. */
const GRACE_MS = 1_000;

/**
 * The life of a service's process: configuration, start, until the first SIGTERM or SIGINT, drain, close. An error that brings
 * an `exitCode`, as a ConfigError does, is for a person to mend: its message is all that is printed. Any other is thrown.
 */
export async function runService<C extends { readonly drainTimeoutMs: number }>(
  load: () => C,
  start: (config: C) => Promise<RunningService>,
): Promise<void> {
  yieldBackgroundThreads();
  try {
    const config = load();
    await using service = await start(config); // connects outward first, listens last
    await untilSignal('SIGTERM', 'SIGINT'); // a second signal exits at once
    await service.drain(config.drainTimeoutMs);
  } catch (error) {
    if (!bringsExitCode(error)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  }
  exitWithin(GRACE_MS);
}

const bringsExitCode = (error: unknown): error is Error & { exitCode: number } =>
  error instanceof Error && typeof (error as { exitCode?: unknown }).exitCode === 'number';
