import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/**
 * Services by full name, read from `.proto` files of this repository (never from outside: a schema can carry code).
 * Messages are plain objects: field names as written, 64-bit integers as decimal strings (a number would round them), enums by
 * name, absent fields absent, and the member set of a oneof under the oneof's name.
 */
export function loadServices(protoFiles: string[], includeDirs: string[]): Record<string, ServiceDefinition> {
  const loaded = loadSync(protoFiles, {
    includeDirs,
    keepCase: true,
    longs: String,
    enums: String,
    defaults: false,
    oneofs: true,
  });
  // What has a format is a message or an enum.
  const services = Object.entries(loaded).filter(([, value]) => !('format' in value));
  return Object.fromEntries(services) as Record<string, ServiceDefinition>;
}
