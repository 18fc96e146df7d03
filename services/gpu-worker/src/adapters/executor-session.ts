import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { monotonicClock } from '@spillway/lifecycle/clock';
import type { Backend } from '../core/backend.ts';
import type { BatchResult, LoadedModel, LoadModel, RunBatch, Warmed } from '../core/executor-messages.ts';
import { derivedDeclaration, type ModelDeclaration } from '../core/model-declaration.ts';
import { failedJob, ModelRunner, replyItem } from '../core/model-runner.ts';
import { refusal, scanOnnx } from '../core/onnx-scan.ts';
import { packReplies } from '../core/reply-frames.ts';
import { type Graph, resolveGraph, type ServedGraph } from '../core/served-graph.ts';
import { simulatedBackend, simulatedGraph, simulatedRun } from '../core/simulated-backend.ts';
import { hasFixedShapes, warmUp } from '../core/warm-up.ts';

export type OpenOptions = { providers: readonly string[]; intraOpThreads: number };
/** `fallback`: what the providers that did not start said. */
export type OpenedGraph = { graph: Graph; provider: string; fallback: string; backend(served: ServedGraph): Backend };
/** Makes a session of a model's bytes. @throws Error of the runtime. */
export type OpenGraph = (model: Uint8Array, options: OpenOptions) => Promise<OpenedGraph>;

type Loaded = { graph: ServedGraph; backend: Backend; warmed: Warmed[]; warning: string };

const keyOf = (model: string, version: string): string => `${model}/${version}`;
const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** What an executor does, without its pipe: hosts the sessions of its models and runs one batch at a time. */
export class ExecutorSession {
  readonly #openGraph: OpenGraph;
  readonly #runners = new Map<string, ModelRunner>();

  constructor(openGraph: OpenGraph) {
    this.#openGraph = openGraph;
  }

  /** Never throws: what is wrong with a model is in the answer, and the other models stay. */
  async load(request: LoadModel): Promise<LoadedModel> {
    const startedMs = monotonicClock.now();
    const { model, version, worker } = request;
    const answer: LoadedModel = {
      model,
      version,
      error: '',
      graph: '',
      provider: '',
      warmed: [],
      warning: '',
      loadMs: 0,
    };
    try {
      const loaded = await this.#load(request);
      const { graph, backend } = loaded;
      this.#runners.set(
        keyOf(model, version),
        new ModelRunner({ worker, model, version, graph, backend, clock: monotonicClock }),
      );
      answer.graph = JSON.stringify(graph);
      answer.provider = backend.provider;
      answer.warmed = loaded.warmed;
      answer.warning = loaded.warning;
    } catch (thrown) {
      answer.error = messageOf(thrown) || 'it could not be loaded';
    }
    answer.loadMs = monotonicClock.now() - startedMs;
    return answer;
  }

  async #load(request: LoadModel): Promise<Loaded> {
    const declaration: ModelDeclaration =
      request.declaration === '' ? derivedDeclaration(request.model) : JSON.parse(request.declaration);
    if (request.file === '') return this.#loadSimulated(declaration);
    const bytes = await readBounded(request.file, request.maxFileBytes);
    const refused = refusal(scanOnnx(bytes)); // before the runtime opens anything that the file names
    if (refused !== undefined) throw new Error(refused);
    const opened = await this.#openGraph(bytes, request);
    const graph = resolveGraph(declaration, opened.graph);
    const backend = opened.backend(graph);
    const { warmed, warning } = await this.#warm(graph, backend, declaration);
    return { graph, backend, warmed, warning: [opened.fallback, warning].filter((text) => text !== '').join('; ') };
  }

  async #loadSimulated(declaration: ModelDeclaration): Promise<Loaded> {
    const graph = resolveGraph(declaration, simulatedGraph(declaration));
    const run = simulatedRun(declaration.parameters);
    const backend = simulatedBackend(run, graph.fetches, { sleep: delay, block, random: Math.random });
    // Nothing to warm: what a batch costs is declared, and waiting for it would only delay the start.
    const rows = Math.max(1, graph.maxBatchSize);
    const warmed = [1, rows].map((count) => ({ rows: count, runMs: run.baseMs + run.perRowMs * count }));
    return { graph, backend, warmed, warning: '' };
  }

  /** A failed run with guessed shapes says nothing about the model; with known ones it will never answer. */
  async #warm(
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

  /** @param waitedMs Since the batch reached the worker. */
  run(batch: RunBatch, waitedMs: number): Promise<BatchResult> {
    const runner = batch.variant === '' ? this.#runners.get(keyOf(batch.model, batch.version)) : undefined;
    return runner === undefined ? Promise.resolve(unknownModel(batch)) : runner.run(batch, waitedMs);
  }
}

function unknownModel(batch: RunBatch): BatchResult {
  const { batchId, model, version, variant, closedBy, rows: batchRows, replyTo, items } = batch;
  const error = new SpillwayError(
    'MODEL_NOT_FOUND',
    `model "${model}" has no version "${version}" with variant "${variant}" here`,
  );
  const facts = { worker: '', batchId, model, version, variant, batchRows, runMs: 0, closedBy };
  const replies = items
    .filter((item) => !item.job)
    .map((item) => ({ replyTo: item.replyTo, item: replyItem(item, error) }));
  const jobs = items.flatMap((item) => (item.job ? [failedJob(item.job, error)] : []));
  return {
    batchId,
    runMs: 0,
    runs: 0,
    failed: items.length,
    replies: packReplies(facts, replyTo, replies),
    jobs,
    fault: '',
  };
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
