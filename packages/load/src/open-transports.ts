import type { Transport } from './attempt.ts';
import { eventsTransport } from './events-transport.ts';
import type { GrpcDoor } from './grpc-client.ts';
import { grpcStreamTransport } from './grpc-stream-transport.ts';
import { grpcTransport } from './grpc-transport.ts';
import { httpTransport } from './http-transport.ts';
import { type InputOptions, SAMPLE_TEXTS, type TensorSpec, tensorSource } from './inputs.ts';
import type { Kind, Protocol } from './kind.ts';
import { LoadError } from './load-error.ts';
import { fetchInputs } from './model-metadata.ts';
import { makePayload, type Payload } from './payload.ts';
import { randomStream } from './random.ts';
import { requestHeaders } from './request-headers.ts';
import type { TlsTexts } from './tls-texts.ts';

/** Where the doors are. */
export type Targets = {
  /** http:// or https:// */
  http?: string;
  /** Path of an infer request, with `{model}`. Default: that of the Open Inference Protocol. */
  path?: string;
  /** `host:port`; with TLS `grpcs://host:port`. */
  grpc?: string;
  nats?: string;
  /** For https:// and grpcs://. */
  tls?: TlsTexts;
};

export type InputChoice = {
  /** Inputs of models whose metadata are not to be asked for, by model. */
  tensors?: Readonly<Record<string, readonly TensorSpec[]>>;
  texts?: readonly string[];
  columns?: number;
  /** Models that answer what they were given; their answers are checked. */
  echoes?: readonly string[];
};

export type TransportOptions = {
  kinds: readonly Kind[];
  targets: Targets;
  inputs: InputChoice;
  seed: number;
  maxConnections: number;
  channels: number;
  patienceMs: number;
  plain: boolean;
  runId: string;
};

const OIP_PATH = '/v2/models/{model}/infer';
const ECHO_MODELS = ['simulated', 'identity'];

export type OpenTransports = AsyncDisposable & { of(kindIndex: number): Transport; readonly connections: number };

/** Makes the inputs of every kind and opens a transport for each protocol in use. */
export async function openTransports(options: TransportOptions): Promise<OpenTransports> {
  await using opening = new AsyncDisposableStack();
  const payloads = await makePayloads(options);
  const payloadOf = (kindIndex: number): Payload => payloads[kindIndex] as Payload;
  const byProtocol = new Map<Protocol, Transport>();
  for (const protocol of new Set(options.kinds.map((kind) => kind.protocol))) {
    const transport = await open(protocol, options, payloadOf);
    opening.defer(() => transport.close());
    byProtocol.set(protocol, transport);
  }
  const opened = opening.move();
  const transports = options.kinds.map((kind) => byProtocol.get(kind.protocol) as Transport);
  return {
    of: (kindIndex) => transports[kindIndex] as Transport,
    get connections() {
      return [...byProtocol.values()].reduce((sum, transport) => sum + transport.connections, 0);
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function open(
  protocol: Protocol,
  { kinds, targets, maxConnections, channels, patienceMs, plain, runId }: TransportOptions,
  payloadOf: (kindIndex: number) => Payload,
): Promise<Transport> {
  if (protocol === 'http') {
    const url = httpUrl(targets.http);
    const { path = OIP_PATH, tls = {} } = targets;
    return httpTransport({ url, tls, path, maxConnections, plain }, payloadOf);
  }
  if (protocol === 'events') {
    if (targets.nats === undefined) throw new LoadError('events: expected the URL of NATS');
    const tenants = [...new Set(kinds.filter((kind) => kind.protocol === 'events').map((kind) => kind.tenant))];
    return eventsTransport({ url: targets.nats, tenants, runId }, payloadOf);
  }
  const target = { ...grpcDoor(protocol, targets), channels, patienceMs, plain };
  return protocol === 'grpc' ? grpcTransport(target, payloadOf) : grpcStreamTransport(target, payloadOf);
}

function httpUrl(text: string | undefined): URL {
  if (text === undefined) throw new LoadError('expected the URL of the HTTP door');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new LoadError(`expected a URL such as http://127.0.0.1:8000, got "${text}"`);
}

const GRPC_DOOR = /^(?:(grpcs?):\/\/)?([^/]+:\d+)\/?$/;

function grpcDoor(protocol: Protocol, { grpc, tls = {} }: Targets): GrpcDoor {
  const [, scheme, address] = GRPC_DOOR.exec(grpc ?? '') ?? [];
  if (address !== undefined) return { address, tls: scheme === 'grpcs' ? tls : undefined };
  throw new LoadError(`${protocol}: expected host:port of the gRPC door, or grpcs://host:port, got "${grpc ?? ''}"`);
}

async function makePayloads({ kinds, targets, inputs, seed, plain }: TransportOptions): Promise<Payload[]> {
  const known = new Map<string, readonly TensorSpec[]>(Object.entries(inputs.tensors ?? {}));
  for (const kind of kinds) {
    if (known.has(kind.model)) continue;
    const url = httpUrl(targets.http);
    known.set(
      kind.model,
      await fetchInputs(kind.model, { url, tls: targets.tls ?? {}, headers: requestHeaders(kind, plain) }),
    );
  }
  return kinds.map((kind, index) => {
    const make: InputOptions = {
      rows: kind.rows,
      columns: inputs.columns ?? 4,
      texts: inputs.texts ?? SAMPLE_TEXTS,
      random: randomStream(seed, `inputs ${index}`),
    };
    const sources = (known.get(kind.model) ?? []).map((spec) => tensorSource(spec, make));
    return makePayload(kind.model, sources, (inputs.echoes ?? ECHO_MODELS).includes(kind.model));
  });
}
