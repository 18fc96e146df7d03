import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { openBucket } from '@spillway/bus/kv';
import { MODELS, type ModelRecord } from '@spillway/contracts/buckets';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { until } from '@spillway/testing/until';
import { gatewayConfig } from '../../src/config.ts';
import { type Gateway, startGateway } from '../../src/service.ts';

/** Environment of a gateway on free ports of loopback. Its guard of the processor is off: a crowded machine would make it refuse. */
export const gatewayEnv = (natsUrl: string, env: Record<string, string> = {}): Record<string, string> => ({
  NATS_URL: natsUrl,
  GATEWAY_HTTP_PORT: '0',
  GATEWAY_REHEARSAL_REQUESTS: '0',
  GATEWAY_ADMISSION_OFF: 'guard',
  GATEWAY_GRPC_PORT: '0',
  GATEWAY_METRICS_PORT: '0',
  LOG_LEVEL: 'silent',
  ...env,
});

/** A gateway inside the test's own process. */
export const startGatewayAt = (natsUrl: string, env: Record<string, string> = {}): Promise<Gateway> =>
  startGateway(gatewayConfig.load(gatewayEnv(natsUrl, env)));

export type GatewayUnderTest = AsyncDisposable & {
  readonly nats: TestServer;
  /** The test's own connection. */
  readonly bus: Bus;
  readonly gateway: Gateway;
};

export const knowsModel = async (gateway: Gateway, model: string): Promise<boolean> =>
  (await fetch(`http://127.0.0.1:${gateway.ports.http}/v2/models/${model}`)).ok;

/** The model with a default deadline that no test reaches, however crowded its machine is. */
export const patient = (record: ModelRecord): ModelRecord => ({ ...record, defaultDeadlineMs: record.maxDeadlineMs });

/** A real NATS, these models in the catalogue, and one gateway that knows them. No batcher, no worker. */
export async function startGatewayUnderTest(options: {
  models: readonly ModelRecord[];
  env?: Record<string, string>;
}): Promise<GatewayUnderTest> {
  await using opening = new AsyncDisposableStack();
  const nats = opening.use(await startNatsServer());
  const bus = opening.use(await connectBus({ url: nats.url, service: 'cache', instance: 'test' }));
  const catalogue = openBucket<ModelRecord>(bus, MODELS);
  for (const record of options.models) await catalogue.put(record.model, patient(record));
  const gateway = opening.use(await startGatewayAt(nats.url, options.env));
  for (const { model } of options.models) await until(`${model} is known`, () => knowsModel(gateway, model));
  const open = opening.move();
  return { nats, bus, gateway, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
