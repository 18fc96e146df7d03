import { badInput } from './errors.ts';
import { grpcTransport, type LazyChannel, lazyChannel } from './grpc-transport.ts';
import { HttpDoor } from './http-door.ts';
import { httpTransport } from './http-transport.ts';
import { natsTransport } from './nats-transport.ts';
import type { Rung, TlsOptions, Transport } from './request.ts';

export type ClientOptions<A extends Rung = Rung> = {
  /** http:// or https:// (HTTP), grpc:// or grpcs:// (gRPC), nats:// or tls:// (events over NATS). */
  url: string;
  /** The HTTP door of the same mesh, for what the door of `url` does not have: jobs, and over NATS metadata. */
  http?: string | undefined;
  /** API key, `sk_…`. Without one a mesh on loopback serves tenant `anonymous`. Not sent over NATS, where the connection says who it is. */
  key?: string | undefined;
  /** For https://, grpcs:// and tls://. */
  tls?: TlsOptions | undefined;
  /** Over NATS: whose events these are. Default: `anonymous`. */
  tenant?: string | undefined;
  /** Deadline of each call that names none. Default: the model's. */
  timeoutMs?: number | undefined;
  /** Tries of one call (default 4), and tokens that retries of all calls are paid from (default 100). False: never. */
  retry?: { maxAttempts?: number | undefined; tokens?: number | undefined } | false | undefined;
  /** What may come instead of an answer at once or a refusal. Default: the mesh's, `wait` and `degraded`. */
  accept?: readonly A[] | undefined;
};

/** What a client talks through. */
export type Opened = {
  transport: Transport;
  /** Where models are described. */
  catalogue: Transport;
  hasMetadata: boolean;
  door: HttpDoor | undefined;
  grpc: LazyChannel | undefined;
  close(): Promise<void>;
};

/** @throws SpillwayClientError `INVALID_REQUEST` naming the option. */
export function openTransports({ url, http, key, tls, tenant = 'anonymous' }: ClientOptions): Opened {
  const { protocol } = parse(url, 'url');
  if (http !== undefined && !isHttp(parse(http, 'http').protocol)) throw badInput('http: expected http:// or https://');
  const doorUrl = isHttp(protocol) ? url : http;
  const door = doorUrl === undefined ? undefined : new HttpDoor(doorUrl, { key, tls });
  const overHttp = door && httpTransport(door);
  if (overHttp !== undefined && isHttp(protocol)) {
    return all(overHttp, { door });
  }
  if (protocol === 'grpc:' || protocol === 'grpcs:') {
    const grpc = lazyChannel(parse(url, 'url'), { key, tls });
    return all(grpcTransport(grpc), { door, grpc });
  }
  if (protocol === 'nats:' || protocol === 'tls:') {
    return all(natsTransport(parse(url, 'url'), { tenant, tls }), { door, catalogue: overHttp });
  }
  throw badInput(`url: expected http://, https://, grpc://, grpcs://, nats:// or tls://, got "${protocol}//"`);
}

function all(
  transport: Transport,
  { door, grpc, catalogue }: { door: HttpDoor | undefined; grpc?: LazyChannel; catalogue?: Transport | undefined },
): Opened {
  return {
    transport,
    catalogue: catalogue ?? transport,
    hasMetadata: transport.kind !== 'nats' || catalogue !== undefined,
    door,
    grpc,
    close: async () => {
      door?.close();
      await transport.close();
    },
  };
}

const isHttp = (protocol: string): boolean => protocol === 'http:' || protocol === 'https:';

function parse(url: string, option: string): URL {
  if (URL.canParse(url)) return new URL(url);
  throw badInput(`${option}: expected a URL such as http://127.0.0.1:8000, got "${url}"`);
}
