import { armCrashPoints } from '@spillway/lifecycle/crash-point';
import { runService } from '@spillway/lifecycle/run-service';
import { gatewayConfig } from './config.ts';
import { startGateway } from './service.ts';

armCrashPoints(process.env['SPILLWAY_CRASH_AT']);
await runService(() => gatewayConfig.load(process.env), startGateway);
