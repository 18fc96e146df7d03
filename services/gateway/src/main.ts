import { runService } from '@spillway/lifecycle/run-service';
import { gatewayConfig } from './config.ts';
import { startGateway } from './service.ts';

await runService(() => gatewayConfig.load(process.env), startGateway);
