import { ConfigError } from '@spillway/config/config-error';
import { yieldBackgroundThreads } from '@spillway/lifecycle/background-threads';
import { armCrashPoints } from '@spillway/lifecycle/crash-point';
import { exitWithin, untilSignal } from '@spillway/lifecycle/signals';
import { gpuWorkerConfig } from './config.ts';
import { startGpuWorker } from './service.ts';

yieldBackgroundThreads();
armCrashPoints(process.env['SPILLWAY_CRASH_AT']);
try {
  const config = gpuWorkerConfig.load(process.env);
  await using worker = await startGpuWorker(config, process.env); // models load while the bus connects
  await untilSignal('SIGTERM', 'SIGINT'); // a second signal exits at once
  await worker.drain(config.drainTimeoutMs);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
exitWithin(1_000);
