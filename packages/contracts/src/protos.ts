import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

/** Folder of the `.proto` files; the mesh's own contracts lie below `spillway/v1`. */
export const PROTO_DIR = fileURLToPath(new URL('../../../protos', import.meta.url));

const FILES = ['tensor', 'work', 'dispatch', 'features', 'cache', 'control', 'load', 'statistics'].map(
  (name) => `spillway/v1/${name}.proto`,
);

function load(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : `${PROTO_DIR}/${target}`);
  root.loadSync(FILES, { keepCase: false });
  root.resolveAll();
  return root;
}

/** The mesh's messages, loaded once. Field names are camelCase in code; enums are their numbers. */
export const meshRoot: protobuf.Root = load();
