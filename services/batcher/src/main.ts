import { ConfigError } from '@spillway/config/config-error';
import { yieldBackgroundThreads } from '@spillway/lifecycle/background-threads';
import { armCrashPoints } from '@spillway/lifecycle/crash-point';
import { exitWithin, untilSignal } from '@spillway/lifecycle/signals';
import { batcherConfig } from './config.ts';
import { startBatcher } from './service.ts';

yieldBackgroundThreads();
armCrashPoints(process.env['SPILLWAY_CRASH_AT']);
try {
  const config = batcherConfig.load(process.env);
  await using batcher = await startBatcher(config); // connect outward first, listen last
  await untilSignal('SIGTERM', 'SIGINT'); // a second signal exits at once
  await batcher.drain(config.drainTimeoutMs);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
exitWithin(1_000);
