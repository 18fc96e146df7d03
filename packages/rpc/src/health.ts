import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toServiceError } from './errors.ts';
import { loadServices } from './load.ts';
import type { GrpcService } from './method.ts';

export type ServingStatus = 'SERVING' | 'NOT_SERVING';

type Request = { service?: string };
type Response = { status: ServingStatus | 'SERVICE_UNKNOWN' };

/** The standard health service, `grpc.health.v1.Health`: one status for the server (the name "") and each of its services. */
export class Health {
  readonly #names: ReadonlySet<string>;
  readonly #watches = new Map<ServerWritableStream<Request, Response>, string>();
  #status: ServingStatus = 'NOT_SERVING';

  constructor(serviceNames: readonly string[]) {
    this.#names = new Set(['', ...serviceNames]);
  }

  set(status: ServingStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    for (const [call, name] of this.#watches) if (this.#names.has(name)) call.write({ status });
  }

  /** Ends the watches, which would otherwise keep a draining server open. */
  close(): void {
    for (const call of this.#watches.keys()) call.end();
    this.#watches.clear();
  }

  service(): GrpcService {
    const definition = loadServices(['grpc/health/v1/health.proto'], [PROTO_DIR])['grpc.health.v1.Health'];
    if (definition === undefined) throw new Error('bug: health.proto has no service grpc.health.v1.Health');
    return { definition, handlers: { Check: this.#check, Watch: this.#watch, List: this.#list } };
  }

  readonly #check = (call: ServerUnaryCall<Request, Response>, done: sendUnaryData<Response>) => {
    if (this.#names.has(call.request.service ?? '')) return done(null, { status: this.#status });
    done(toServiceError(new SpillwayError('NOT_FOUND', 'expected the name of a service of this server, or none')));
  };

  /** An unknown service may appear later, so its watch stays open; ours are all known from the start. */
  readonly #watch = (call: ServerWritableStream<Request, Response>) => {
    const name = call.request.service ?? '';
    this.#watches.set(call, name);
    call.on('cancelled', () => this.#watches.delete(call));
    call.write({ status: this.#names.has(name) ? this.#status : 'SERVICE_UNKNOWN' });
  };

  readonly #list = (_call: unknown, done: sendUnaryData<{ statuses: Record<string, Response> }>) => {
    const entries = [...this.#names].map((name) => [name, { status: this.#status }] as const);
    done(null, { statuses: Object.fromEntries(entries) });
  };
}
