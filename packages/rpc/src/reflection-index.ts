import type { FileDescriptor } from '@spillway/contracts/file-descriptors';
import { CATALOGUE } from '@spillway/errors/catalogue';

/** `grpc.reflection.v1.ServerReflectionRequest`: one of the members behind `host`, which `message_request` names. */
export type ReflectionRequest = {
  host?: string;
  message_request?:
    | 'file_by_filename'
    | 'file_containing_symbol'
    | 'file_containing_extension'
    | 'all_extension_numbers_of_type'
    | 'list_services';
  file_by_filename?: string;
  file_containing_symbol?: string;
  file_containing_extension?: { containing_type?: string; extension_number?: number };
  all_extension_numbers_of_type?: string;
  list_services?: string;
};

export type ReflectionResponse = { valid_host: string; original_request: ReflectionRequest } & (
  | { file_descriptor_response: { file_descriptor_proto: Uint8Array[] } }
  | { all_extension_numbers_response: { base_type_name: string; extension_number: number[] } }
  | { list_services_response: { service: { name: string }[] } }
  | { error_response: { error_code: number; error_message: string } }
);

const failed = (code: 'NOT_FOUND' | 'INVALID_REQUEST', error_message: string) => ({
  error_response: { error_code: CATALOGUE[code].grpc, error_message },
});

/** What is known of a server's services: the answers to the questions of gRPC reflection. */
export class ReflectionIndex {
  readonly #files: ReadonlyMap<string, FileDescriptor>;
  readonly #bySymbol: ReadonlyMap<string, FileDescriptor>;
  readonly #services: string[];

  /** @param files Those of all services that are served, with everything that they import. */
  constructor(files: readonly FileDescriptor[]) {
    this.#files = new Map(files.map((file) => [file.name, file]));
    this.#bySymbol = new Map(files.flatMap((file) => file.symbols.map((symbol) => [symbol, file] as const)));
    this.#services = files.flatMap(({ services }) => services).sort();
  }

  answer(request: ReflectionRequest): ReflectionResponse {
    return { valid_host: request.host ?? '', original_request: request, ...this.#answer(request) };
  }

  #answer(request: ReflectionRequest) {
    switch (request.message_request) {
      case 'list_services':
        return { list_services_response: { service: this.#services.map((name) => ({ name })) } };
      case 'file_by_filename':
        return this.#fileResponse(this.#files.get(request.file_by_filename ?? ''), 'no file has this name');
      case 'file_containing_symbol':
        return this.#fileResponse(this.#bySymbol.get(request.file_containing_symbol ?? ''), 'no file has this symbol');
      case 'all_extension_numbers_of_type': {
        const base_type_name = request.all_extension_numbers_of_type ?? '';
        if (!this.#bySymbol.has(base_type_name)) return failed('NOT_FOUND', 'no file has this type');
        return { all_extension_numbers_response: { base_type_name, extension_number: [] } };
      }
      case 'file_containing_extension':
        return failed('NOT_FOUND', 'there are no extensions here');
      default:
        return failed('INVALID_REQUEST', 'message_request: expected one of its members');
    }
  }

  #fileResponse(file: FileDescriptor | undefined, otherwise: string) {
    if (file === undefined) return failed('NOT_FOUND', otherwise);
    const names = new Set([file.name]);
    for (const name of names) for (const imported of this.#files.get(name)?.imports ?? []) names.add(imported);
    const file_descriptor_proto = [...names].map((name) => this.#files.get(name)?.bytes ?? new Uint8Array());
    return { file_descriptor_response: { file_descriptor_proto } };
  }
}
