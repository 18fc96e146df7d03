import { ConfigError } from '@spillway/config/config-error';
import { yieldBackgroundThreads } from '@spillway/lifecycle/background-threads';
import { exitWithin, untilSignal } from '@spillway/lifecycle/signals';
import { cacheConfig } from './config.ts';
import { startCache } from './service.ts';

yieldBackgroundThreads();
try {
  const config = cacheConfig.load(process.env);
  await using cache = await startCache(config); // connect outward first, listen last
  await untilSignal('SIGTERM', 'SIGINT'); // a second signal exits at once
  await cache.drain(config.drainTimeoutMs);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
exitWithin(1_000);
