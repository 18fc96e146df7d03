import { relative } from 'node:path';
import type { Context } from './context.ts';
import { Door, type JsonTensor, type ModelMetadata, type TensorSpec } from './door.ts';
import type { Mesh } from './mesh.ts';

/** What `up` prints when everything is ready: where it is, what it serves, what to type next. */
export async function welcome(context: Context, mesh: Mesh, tookS: string): Promise<string[]> {
  const { endpoints, services, models } = mesh.state();
  using door = new Door(endpoints.http, mesh.key);
  const doors = services.filter(({ name }) => name === 'gateway');
  const served = await door.readyModels();
  const first = await smallestModel(door, served);
  const name = (path: string) => {
    const near = relative(context.cwd, path);
    return near === '' || near.startsWith('..') ? path : near;
  };
  return [
    '',
    `Spillway ${context.version} is ready after ${tookS} s: ${services.length} processes, data and logs in ${name(context.dataDir)}`,
    '',
    `  HTTP     ${doors.map(({ ports }) => `http://127.0.0.1:${ports['http']}`).join('  ')}    Open Inference Protocol v2`,
    `  gRPC     ${doors.map(({ ports }) => `127.0.0.1:${ports['grpc']}`).join('  ')}`,
    `  metrics  ${endpoints.metrics}`,
    `  NATS     ${endpoints.nats}`,
    `  key      ${mesh.key}    (also in ${name(context.dataDir)}/dev-key)`,
    `  models   ${served.join(', ') || 'none'}    (from ${name(models)})`,
    '',
    'Try',
    ...(first
      ? [`  ${curlFor(endpoints.http, first)}`, `  ./spillway infer ${first.name} --data '${dataFor(first)}'`]
      : []),
    '  ./spillway status    ./spillway logs -f    ./spillway trace',
    '',
    'Ctrl-C drains and ends it; ./spillway down does so from elsewhere.',
  ];
}

/** The model whose example is shortest: what is printed should fit a line. */
async function smallestModel(door: Door, names: string[]): Promise<ModelMetadata | undefined> {
  const all = await Promise.all(names.map((name) => door.metadata(name).catch(() => undefined)));
  const known = all.filter((metadata) => metadata !== undefined);
  return known.sort((a, b) => dataFor(a).length - dataFor(b).length)[0];
}

/** One row of zeros (or a word) for an input; a variable dimension becomes 1. */
export function exampleTensor({ name, datatype, shape }: TensorSpec): JsonTensor {
  const fixed = shape.map((dimension) => Math.max(dimension, 1));
  const count = fixed.reduce((product, dimension) => product * dimension, 1);
  const value = datatype === 'BYTES' ? 'hello' : datatype === 'BOOL' ? false : 0;
  return { name, datatype, shape: fixed, data: new Array(count).fill(value) };
}

const curlFor = (url: string, model: ModelMetadata): string =>
  `curl ${url}/v2/models/${model.name}/infer -d '${JSON.stringify({ inputs: model.inputs.map(exampleTensor) })}'`;

const dataFor = (model: ModelMetadata): string =>
  JSON.stringify(Object.fromEntries(model.inputs.map((input) => [input.name, nest(exampleTensor(input))])));

/** Flat data in the form that `infer --data` reads: nested by its shape. */
function nest({ shape, data }: JsonTensor): unknown {
  let level: unknown[] = data;
  for (const dimension of shape.slice(1).reverse()) {
    level = Array.from({ length: level.length / dimension }, (_, i) => level.slice(i * dimension, (i + 1) * dimension));
  }
  return level;
}
