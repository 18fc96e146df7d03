import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicClock } from '@spillway/lifecycle/clock';
import type { Backend } from '../core/backend.ts';
import type { LoadModel, Warmed } from '../core/executor-messages.ts';
import { byLength } from '../core/length-buckets.ts';
import { messageOf } from '../core/message-of.ts';
import { declarationOf, type ModelDeclaration, type VariantDeclaration } from '../core/model-declaration.ts';
import { refusal, scanOnnx } from '../core/onnx-scan.ts';
import { type Graph, resolveGraph, type ServedGraph } from '../core/served-graph.ts';
import { simulatedBackend, simulatedGraph, simulatedRun } from '../core/simulated-backend.ts';
import { hasFixedShapes, warmUp } from '../core/warm-up.ts';

export type OpenOptions = { providers: readonly string[]; intraOpThreads: number };
/** `fallback`: what the providers that did not start said. */
export type OpenedGraph = { graph: Graph; provider: string; fallback: string; backend(served: ServedGraph): Backend };
/** Makes a session of a model's bytes. @throws Error of the runtime. */
export type OpenGraph = (model: Uint8Array, options: OpenOptions) => Promise<OpenedGraph>;

export type OpenedModel = { graph: ServedGraph; backend: Backend; warmed: Warmed[]; warning: string };

/** Opens and warms the full model of a load. @throws Error saying what is wrong with it. */
export function openModel(request: LoadModel, declaration: ModelDeclaration, openGraph: OpenGraph) {
  return request.file === '' ? openSimulated(declaration) : openFile(request, declaration, openGraph);
}

/**
 * Opens and warms a variant of a model that is open. Its file lies in the folder of the variant, beside the full model's.
 * @throws Error also when a client could tell the two apart by their tensors.
 */
export async function openVariant(
  request: LoadModel,
  full: { declaration: ModelDeclaration; graph: ServedGraph },
  variant: VariantDeclaration,
  openGraph: OpenGraph,
): Promise<OpenedModel> {
  const { name } = variant;
  const file = request.file === '' ? '' : join(dirname(request.file), name, 'model.onnx');
  const opened = await openModel({ ...request, file }, declarationOf(full.declaration, variant), openGraph).catch(
    (thrown: NodeJS.ErrnoException) => {
      if (thrown.code !== 'ENOENT') throw thrown;
      throw new Error(`expected a file ${request.version}/${name}/model.onnx, found none`, { cause: thrown });
    },
  );
  if (tensorsOf(opened.graph) !== tensorsOf(full.graph)) {
    throw new Error(`expected the tensors of the full model ${tensorsOf(full.graph)}, got ${tensorsOf(opened.graph)}`);
  }
  return opened;
}

/** What a client sees of a graph. */
const tensorsOf = ({ maxBatchSize, inputs, outputs }: ServedGraph): string =>
  JSON.stringify({ maxBatchSize, inputs, outputs });

async function openFile(request: LoadModel, declaration: ModelDeclaration, openGraph: OpenGraph): Promise<OpenedModel> {
  const bytes = await readBounded(request.file, request.maxFileBytes);
  const refused = refusal(scanOnnx(bytes)); // before the runtime opens anything that the file names
  if (refused !== undefined) throw new Error(refused);
  const opened = await openGraph(bytes, request);
  const graph = resolveGraph(declaration, opened.graph);
  const backend = opened.backend(graph);
  const { warmed, warning } = await warm(graph, backend, declaration);
  const served = byLength(graph, backend, warmed);
  return {
    graph,
    backend: served,
    warmed,
    warning: [opened.fallback, warning].filter((text) => text !== '').join('; '),
  };
}

async function openSimulated(declaration: ModelDeclaration): Promise<OpenedModel> {
  const graph = resolveGraph(declaration, simulatedGraph(declaration));
  const run = simulatedRun(declaration.parameters);
  const backend = simulatedBackend(run, graph.fetches, { sleep: delay, block, random: Math.random });
  // Nothing to warm: what a batch costs is declared, and waiting for it would only delay the start.
  const rows = Math.max(1, graph.maxBatchSize);
  const warmed = [1, rows].map((count) => ({ rows: count, runMs: run.baseMs + run.perRowMs * count }));
  return { graph, backend, warmed, warning: '' };
}

/** A failed run with guessed shapes says nothing about the model; with known ones it will never answer. */
async function warm(
  graph: ServedGraph,
  backend: Backend,
  { warmUps }: ModelDeclaration,
): Promise<{ warmed: Warmed[]; warning: string }> {
  try {
    return { warmed: await warmUp(graph, backend, warmUps, monotonicClock), warning: '' };
  } catch (thrown) {
    if (hasFixedShapes(graph) || warmUps.length > 0) throw new Error(`the warm-up run failed: ${messageOf(thrown)}`);
    return { warmed: [], warning: `not warmed, a run with every free dimension 1 failed: ${messageOf(thrown)}` };
  }
}

/** @throws Error when the file is larger than the limit, also if it grew while it was read. */
async function readBounded(file: string, maxBytes: number): Promise<Buffer> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  if (size > maxBytes) throw new Error(`expected a file of at most ${maxBytes} bytes, got ${size}`);
  const bytes = Buffer.allocUnsafeSlow(size);
  const { bytesRead } = await handle.read(bytes, 0, size, 0);
  if (bytesRead < size) throw new Error(`expected a file of ${size} bytes, got ${bytesRead}: was it being written?`);
  return bytes;
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Holds the thread, as a run in native code does. */
function block(ms: number): void {
  if (ms > 0) Atomics.wait(cell, 0, 0, ms);
}
