import { SpillwayError } from '@spillway/errors/spillway-error';
import { monotonicClock } from '@spillway/lifecycle/clock';
import type { Backend } from '../core/backend.ts';
import {
  type BatchResult,
  type LoadedModel,
  type LoadModel,
  loadAnswer,
  type RunBatch,
} from '../core/executor-messages.ts';
import { messageOf } from '../core/message-of.ts';
import { derivedDeclaration, type ModelDeclaration } from '../core/model-declaration.ts';
import { failedJob, ModelRunner, replyItem } from '../core/model-runner.ts';
import { packReplies } from '../core/reply-frames.ts';
import { type OpenedModel, type OpenGraph, openModel, openVariant } from './open-model.ts';

type Key = { model: string; version: string; variant: string };
const keyOf = ({ model, version, variant }: Key): string => `${model}/${version}/${variant}`;

/** What an executor does, without its pipe: hosts the sessions of its models and runs one batch at a time. */
export class ExecutorSession {
  readonly #openGraph: OpenGraph;
  readonly #hosted = new Map<string, { runner: ModelRunner; backend: Backend }>();

  constructor(openGraph: OpenGraph) {
    this.#openGraph = openGraph;
  }

  /** Never throws: what is wrong with a model is in the answer, and the other models stay. */
  async load(request: LoadModel): Promise<LoadedModel> {
    const startedMs = monotonicClock.now();
    const startedBytes = process.memoryUsage.rss();
    const answer = loadAnswer(request);
    try {
      await this.#load(request, answer);
    } catch (thrown) {
      answer.error = messageOf(thrown) || 'it could not be loaded';
    }
    answer.loadMs = monotonicClock.now() - startedMs;
    answer.memoryBytes = Math.max(0, process.memoryUsage.rss() - startedBytes);
    return answer;
  }

  /** The model is served without a variant that cannot be: its callers get the full one. */
  async #load(request: LoadModel, answer: LoadedModel): Promise<void> {
    const declaration: ModelDeclaration =
      request.declaration === '' ? derivedDeclaration(request.model) : JSON.parse(request.declaration);
    const full = await openModel(request, declaration, this.#openGraph);
    this.#keep(request, '', full);
    answer.graph = JSON.stringify(full.graph);
    answer.provider = full.backend.provider;
    answer.warmed = full.warmed;
    const warnings = [full.warning];
    for (const variant of declaration.variants) {
      try {
        const opened = await openVariant(request, { declaration, graph: full.graph }, variant, this.#openGraph);
        this.#keep(request, variant.name, opened);
        answer.variants.push({
          variant: variant.name,
          provider: opened.backend.provider,
          warmed: opened.warmed,
        });
        if (opened.warning !== '') warnings.push(`variant "${variant.name}": ${opened.warning}`);
      } catch (thrown) {
        warnings.push(`variant "${variant.name}" is not served: ${messageOf(thrown)}`);
      }
    }
    answer.warning = warnings.filter((text) => text !== '').join('; ');
  }

  #keep({ model, version, worker }: LoadModel, variant: string, { graph, backend }: OpenedModel): void {
    const runner = new ModelRunner({ worker, model, version, graph, backend, clock: monotonicClock });
    this.#hosted.set(keyOf({ model, version, variant }), { runner, backend });
  }

  /** Lets go of a version with its variants. */
  async release({ model, version }: Pick<LoadModel, 'model' | 'version'>): Promise<void> {
    for (const [key, { backend }] of this.#hosted) {
      if (!key.startsWith(keyOf({ model, version, variant: '' }))) continue;
      this.#hosted.delete(key);
      await backend.release?.();
    }
  }

  /** @param waitedMs Since the batch reached the worker. */
  run(batch: RunBatch, waitedMs: number): Promise<BatchResult> {
    const runner = this.#hosted.get(keyOf(batch))?.runner;
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
  const jobs = items.flatMap((item) => (item.job ? [failedJob(item.job, error, item.queueMs)] : []));
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
