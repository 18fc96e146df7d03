import { ConfigError } from '@spillway/config/config-error';
import { yieldBackgroundThreads } from '@spillway/lifecycle/background-threads';
import { armCrashPoints } from '@spillway/lifecycle/crash-point';
import { exitWithin, untilSignal } from '@spillway/lifecycle/signals';
import { gatewayConfig } from './config.ts';
import { startGateway } from './service.ts';

yieldBackgroundThreads();
armCrashPoints(process.env['SPILLWAY_CRASH_AT']);
try {
  const config = gatewayConfig.load(process.env);
  await using gateway = await startGateway(config); // connect outward first, listen last
  await untilSignal('SIGTERM', 'SIGINT'); // a second signal exits at once
  await gateway.drain(config.drainTimeoutMs);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
exitWithin(1_000);
