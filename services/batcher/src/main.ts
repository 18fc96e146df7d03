import { armCrashPoints } from '@spillway/lifecycle/crash-point';
import { runService } from '@spillway/lifecycle/run-service';
import { batcherConfig } from './config.ts';
import { startBatcher } from './service.ts';

armCrashPoints(process.env['SPILLWAY_CRASH_AT']);
await runService(() => batcherConfig.load(process.env), startBatcher);
