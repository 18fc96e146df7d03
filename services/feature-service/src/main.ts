import { runService } from '@spillway/lifecycle/run-service';
import { featureServiceConfig } from './config.ts';
import { startFeatureService } from './service.ts';

await runService(() => featureServiceConfig.load(process.env), startFeatureService);
