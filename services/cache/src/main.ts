import { runService } from '@spillway/lifecycle/run-service';
import { cacheConfig } from './config.ts';
import { startCache } from './service.ts';

await runService(() => cacheConfig.load(process.env), startCache);
