import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { TlsTexts } from './tls-texts.ts';

export type GrpcDoor = {
  /** host:port */
  address: string;
  /** Undefined: plain. */
  tls: TlsTexts | undefined;
};

const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));

/** A client with a connection of its own. */
export const openClient = ({ address, tls }: GrpcDoor): Client =>
  new Client(
    address,
    tls ? credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert)) : credentials.createInsecure(),
    {
      'grpc.use_local_subchannel_pool': 1, // else equal options share one connection
      'grpc.enable_channelz': 0,
      'grpc.enable_retries': 0, // retries are the load's own
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc-node.flow_control_window': 4 * 1024 * 1024,
      'grpc.max_receive_message_length': 16 * 1024 * 1024,
      'grpc.initial_reconnect_backoff_ms': 100, // default 1 s: a restarted server would be missed for long
      'grpc.max_reconnect_backoff_ms': 500,
    },
  );

export function metadataOf(values: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
}

export const metadataText = (metadata: Metadata, name: string): string => {
  const [value] = metadata.get(name);
  return typeof value === 'string' ? value : '';
};

export const sameBytes = (bytes: Buffer): Buffer => bytes;
