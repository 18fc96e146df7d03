import { runService } from '@spillway/lifecycle/run-service';
import { batcherConfig } from './config.ts';
import { startBatcher } from './service.ts';

await runService(() => batcherConfig.load(process.env), startBatcher);
