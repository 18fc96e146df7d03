import { type ChannelOptions, Client, credentials, Metadata } from '@grpc/grpc-js';
import type { TrafficClass } from '@spillway/contracts/classes';
import { fromServiceError } from './errors.ts';
import { asBuffer, type Method, rawMethod } from './method.ts';

const MIB = 1024 * 1024;

/** Largest message between our own services. A larger one would end the stream that everybody shares. */
export const MAX_MESH_MESSAGE_BYTES = 16 * MIB;

/**
 * Options of a connection inside the mesh; `trafficClass` shows in the user agent.
 * One connection per client and so per class: Node closes a connection that sees about 1000 resets, with all calls on it.
 */
export const meshChannelOptions = (trafficClass?: TrafficClass): ChannelOptions => ({
  'grpc.primary_user_agent': trafficClass === undefined ? 'spillway' : `spillway-${trafficClass}`,
  'grpc.use_local_subchannel_pool': 1, // else equal options share one connection
  'grpc.keepalive_time_ms': 10_000, // off by default: a dead peer would be noticed by nobody
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc-node.flow_control_window': 4 * MIB, // 64 KiB by default: 768 KB would take 12 round trips
  'grpc.max_receive_message_length': MAX_MESH_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESH_MESSAGE_BYTES,
  'grpc.enable_channelz': 0, // has leaked, and nobody reads it
  'grpc.enable_retries': 0, // one layer retries, and it is not this one
  'grpc.enable_http_proxy': 0, // `http_proxy` in the environment is not for the mesh
  'grpc.service_config_disable_resolution': 1, // no TXT look-ups
});

export type UnaryOptions = { timeoutMs: number; headers?: Record<string, string> };

/** One connection to one address, made at the first call. Close channels that are replaced, or they stay connected. */
export type Channel = {
  readonly address: string;
  /**
   * One call, one answer. `timeoutMs` is a backstop: an expired call is a reset, of which a connection survives few.
   * @throws SpillwayError of the peer, or UNAVAILABLE / DEADLINE_EXCEEDED of the connection.
   */
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: UnaryOptions,
  ): Promise<Response>;
  /** For definitions of `loadServices`. Its calls end with ServiceErrors: see `fromServiceError`. */
  readonly client: Client;
  close(): void;
  [Symbol.dispose](): void;
};

export function openChannel(address: string, options: { trafficClass?: TrafficClass } = {}): Channel {
  const client = new Client(address, credentials.createInsecure(), meshChannelOptions(options.trafficClass));
  const close = () => client.close();
  return {
    address,
    client,
    unary: (method, request, callOptions) => callUnary(client, method, request, callOptions),
    close,
    [Symbol.dispose]: close,
  };
}

function callUnary<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  request: Request,
  { timeoutMs, headers = {} }: UnaryOptions,
): Promise<Response> {
  const { path, requestSerialize, responseDeserialize } = rawMethod(method.path, 'unary');
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const bytes = asBuffer(method.request.encode(request));
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + timeoutMs;
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      bytes,
      metadata,
      { deadline },
      (error, answer) => {
        if (error !== null) return reject(fromServiceError(error));
        try {
          resolve(method.response.decode(answer as Buffer));
        } catch (unreadable) {
          reject(unreadable);
        }
      },
    );
  });
}
