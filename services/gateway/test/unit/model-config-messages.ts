import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { loadedMethod, loadServices } from '@spillway/rpc/load';
import type { ModelConfig } from '../../src/core/model-config.ts';

const includeDirs = [`${PROTO_DIR}/inference`];
const service = loadServices(['grpc_service.proto'], includeDirs)['inference.GRPCInferenceService'];
const outside = loadSync('grpc_service.proto', { includeDirs, keepCase: true, longs: String, oneofs: true });
const type = outside['inference.ModelConfigResponse'] as MessageTypeDefinition<unknown, unknown>;

/** What a stranger reads: enums are numbers, 64-bit integers text. */
export type OutsideConfig = {
  version_policy: object;
  max_batch_size: number;
  input: { name: string; data_type: number; dims: string[] }[];
  dynamic_batching?: {
    max_queue_delay_microseconds: string;
    priority_levels: string;
    default_queue_policy: object;
    priority_queue_policy: Record<string, object>;
  };
  model_transaction_policy: object;
  response_cache: object;
};

/** The config as it crosses the gRPC door. */
export function decodeConfig(config: ModelConfig): OutsideConfig {
  const bytes = loadedMethod<unknown, { config: ModelConfig }>(service, 'ModelConfig').response.encode({ config });
  return (type.deserialize(Buffer.from(bytes)) as { config: OutsideConfig }).config;
}
