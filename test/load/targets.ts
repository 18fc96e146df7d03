import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { REPO } from '@spillway/testing/find-binary';
import { freePort } from '@spillway/testing/free-port';
import { type Mesh, startMesh } from '@spillway/testing/mesh';
import { startBarePath } from './bare-path/start.ts';
import type { LoadJob } from './client/main.ts';
import { pidsOf } from './cpu.ts';
import { startUntilReady } from './start-until-ready.ts';

export const MLP = join(REPO, 'models', 'mlp', '1', 'model.onnx');
export const HTTP_PATH = '/v2/models/mlp/infer';

/** What is loaded, in the order of a round. */
export const TARGETS = {
  path: 'bare path',
  server: 'bare node:http + ORT',
  turn: 'bare node:http + ORT, batched',
  mesh: 'Spillway, HTTP JSON',
  binary: 'Spillway, HTTP binary tensors',
  echo: 'bare grpc-js echo',
  grpc: 'Spillway, gRPC unary',
  stream: 'Spillway, ModelStreamInfer',
} as const;
export type TargetName = keyof typeof TARGETS;

/** Of these Spillway is the server. */
export const ON_MESH: readonly TargetName[] = ['mesh', 'binary', 'grpc', 'stream'];

export type LoadShape = { connections: number; seconds: number; warmUpSeconds: number };
export type Target = AsyncDisposable & {
  readonly name: TargetName;
  readonly pids: Readonly<Record<string, number>>;
  job(shape: LoadShape): LoadJob;
};

const GRPC_CHANNELS = 4; // connections under the calls in flight; a stream of HTTP/2 costs nothing to hold
const file = (name: string): string => fileURLToPath(new URL(`./bare-servers/${name}.ts`, import.meta.url));
const nothing = async (): Promise<void> => undefined;

const http = (port: number, shape: LoadShape, headers: Record<string, string> = {}, binary = false): LoadJob => ({
  kind: 'http',
  port,
  path: HTTP_PATH,
  headers,
  binary,
  ...shape,
});
const overGrpc = (
  address: string,
  shape: LoadShape,
  mode: 'unary' | 'echo' | 'stream',
  metadata: Record<string, string> = {},
): LoadJob => ({
  kind: 'grpc',
  address,
  channels: Math.min(GRPC_CHANNELS, shape.connections),
  metadata,
  mode,
  ...shape,
});

async function startServer(name: 'server' | 'turn'): Promise<Target> {
  const port = await freePort();
  const env = { HTTP_PORT: String(port), MODEL: MLP, BATCHING: name === 'turn' ? 'turn' : '' };
  const server = await startUntilReady({ name: TARGETS[name], file: file('http-ort'), env });
  return {
    name,
    pids: { server: server.pid },
    job: (shape) => http(port, shape),
    [Symbol.asyncDispose]: () => server.stop(1_000),
  };
}

async function startEcho(): Promise<Target> {
  const port = await freePort();
  const env = { GRPC_PORT: String(port) };
  const server = await startUntilReady({ name: TARGETS.echo, file: file('grpc-echo'), env });
  return {
    name: 'echo',
    pids: { server: server.pid },
    job: (shape) => overGrpc(`127.0.0.1:${port}`, shape, 'echo'),
    [Symbol.asyncDispose]: () => server.stop(1_000),
  };
}

async function startPath(): Promise<Target> {
  const path = await startBarePath(MLP);
  return {
    name: 'path',
    pids: path.pids,
    job: (shape) => http(path.port, shape),
    [Symbol.asyncDispose]: () => path[Symbol.asyncDispose](),
  };
}

/** The mesh as `up` starts it: API key checked, admission and tracing on. */
export async function startLoadMesh(): Promise<Mesh> {
  return startMesh({ env: { LOG_LEVEL: 'info' } });
}

function meshTargets(mesh: Mesh, names: readonly TargetName[]): Target[] {
  const pids = pidsOf(mesh);
  const authorization = `Bearer ${mesh.keys.standard}`;
  const port = Number(mesh.url.split(':').at(-1));
  const jobs: Partial<Record<TargetName, Target['job']>> = {
    mesh: (shape) => http(port, shape, { authorization }),
    binary: (shape) => http(port, shape, { authorization }, true),
    grpc: (shape) => overGrpc(mesh.grpc, shape, 'unary', { authorization }),
    stream: (shape) => overGrpc(mesh.grpc, shape, 'stream', { authorization }),
  };
  return names.flatMap((name) => {
    const job = jobs[name];
    return job ? [{ name, pids, job, [Symbol.asyncDispose]: nothing }] : [];
  });
}

/** Starts what the names need, in the order of `TARGETS`. */
export async function startTargets(names: readonly TargetName[], say: (text: string) => void) {
  await using opening = new AsyncDisposableStack();
  const targets: Target[] = [];
  const add = async (starting: Promise<Target>): Promise<void> => {
    targets.push(opening.use(await starting));
  };
  for (const name of ['path', 'server', 'turn', 'echo'] as const) {
    if (!names.includes(name)) continue;
    say(`starting ${TARGETS[name]}`);
    await add(name === 'path' ? startPath() : name === 'echo' ? startEcho() : startServer(name));
  }
  if (names.some((name) => ON_MESH.includes(name))) {
    say('starting Spillway');
    const mesh = opening.use(await startLoadMesh());
    targets.push(...meshTargets(mesh, names));
  }
  const order = Object.keys(TARGETS);
  targets.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  const open = opening.move();
  return { targets, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
