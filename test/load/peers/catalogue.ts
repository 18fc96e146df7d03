import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this file: a peer's own configuration is in the sub-folder of its name. */
export const PEERS_FOLDER = fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, '');

export type ModelName = 'mlp' | 'intent';
export type PeerName = 'fastapi' | 'ray-serve' | 'bentoml' | 'litserve' | 'mlserver';

/** How one start differs from another. */
export type StartContext = { folder: string; port: number; cores: number };

export type Peer = {
  title: string;
  /** Its name on PyPI; the version is the one that requirements.txt pins. */
  package: string;
  licence: string;
  /** The settings that decide its speed, for tables. */
  settings: (cores: number) => string;
  /** A program of its environment's bin folder, and its arguments. */
  command: (context: StartContext) => [program: string, ...args: string[]];
  env?: (context: StartContext) => Record<string, string>;
};

const UVICORN = 'uvloop, httptools, no access log';

/**
 * What is compared. Each setting that is not on a command line stands, with its reason and its page, in the peer's folder.
 * Beside those here, start-peer.ts hands over PEER_MODEL, PEER_PORT, PEER_CORES and PEER_DEADLINE_MS.
 */
export const PEERS: Readonly<Record<PeerName, Peer>> = {
  fastapi: {
    title: 'FastAPI + onnxruntime',
    package: 'fastapi',
    licence: 'MIT',
    settings: (cores) => `uvicorn, ${cores} workers, ${UVICORN}; every request run alone; no limit`,
    // uvloop and httptools are what `auto` picks where they are installed; named, so that a missing one is an error.
    // No --limit-concurrency: neither project recommends a number, https://www.uvicorn.org/settings/#resource-limits
    command: ({ folder, port, cores }) => [
      'uvicorn',
      'app:app',
      ...['--app-dir', folder, '--host', '127.0.0.1', '--port', String(port), '--workers', String(cores)],
      ...['--loop', 'uvloop', '--http', 'httptools', '--no-access-log', '--log-level', 'warning'],
    ],
  },
  'ray-serve': {
    title: 'Ray Serve',
    package: 'ray',
    licence: 'Apache-2.0',
    settings: (cores) => `${cores} replicas behind HAProxy, throughput-optimized, @serve.batch without a wait`,
    command: ({ folder }) => ['python', join(folder, 'app.py')],
  },
  bentoml: {
    title: 'BentoML',
    package: 'bentoml',
    licence: 'Apache-2.0',
    settings: (cores) => `${cores} workers, adaptive batching, ${UVICORN}, no metrics`,
    command: ({ folder, port }) => [
      'bentoml',
      'serve',
      'service:Peer',
      ...['--working-dir', folder, '--host', '127.0.0.1', '--port', String(port)],
    ],
    env: () => ({ BENTOML_DO_NOT_TRACK: 'True' }),
  },
  litserve: {
    title: 'LitServe',
    package: 'litserve',
    licence: 'Apache-2.0',
    settings: (cores) => `${cores} API servers, ${cores} workers, ZeroMQ queue, batches waited for 10 ms`,
    command: ({ folder }) => ['python', join(folder, 'server.py')],
  },
  mlserver: {
    title: 'MLServer',
    package: 'mlserver',
    licence: 'Apache-2.0',
    settings: () => 'custom runtime in the main process, no batching, uvloop, no access log',
    command: ({ folder }) => ['mlserver', 'start', folder],
    // Port 0: any free one, for a door that nobody uses.
    env: ({ port }) => ({ MLSERVER_HTTP_PORT: String(port), MLSERVER_GRPC_PORT: '0' }),
  },
};

/** A peer's name as its user wrote it. @throws Error that lists the names. */
export function peerName(text: string): PeerName {
  if (text in PEERS) return text as PeerName;
  throw new Error(`peer: expected one of ${Object.keys(PEERS).join(', ')}, got "${text}"`);
}

export const folderOf = (name: PeerName): string => join(PEERS_FOLDER, name);
export const requirementsOf = (name: PeerName): string => join(folderOf(name), 'requirements.txt');

/** The version that the committed requirements.txt pins. */
export function versionOf(name: PeerName): string {
  const { package: wanted } = PEERS[name];
  for (const line of readFileSync(requirementsOf(name), 'utf8').split('\n')) {
    const [library, version] = line.split('==');
    if (library === wanted && version !== undefined) return version.trim();
  }
  throw new Error(`${requirementsOf(name)}: expected a line "${wanted}==…"`);
}
