import { armCrashPoints } from '@spillway/lifecycle/crash-point';
import { runService } from '@spillway/lifecycle/run-service';
import { gpuWorkerConfig } from './config.ts';
import { startGpuWorker } from './service.ts';

armCrashPoints(process.env['SPILLWAY_CRASH_AT']);
await runService(
  () => gpuWorkerConfig.load(process.env),
  (config) => startGpuWorker(config, process.env), // models load while the bus connects
);
