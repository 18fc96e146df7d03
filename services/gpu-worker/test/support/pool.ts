import { type Batch, type ReplyFrame, replyFrameCodec } from '@spillway/contracts/messages';
import { ExecutorPool } from '../../src/adapters/executor-pool.ts';
import { readRepository } from '../../src/adapters/model-store.ts';
import type { Loss } from '../../src/core/executor-loss.ts';
import { type BatchResult, batcherMessageHeadCodec, type LoadedModel } from '../../src/core/executor-messages.ts';
import { planModels } from '../../src/core/plan-models.ts';
import { messageOf } from './batches.ts';

export type Ended =
  | { how: 'done'; result: BatchResult; frames: ReplyFrame[] }
  | { how: 'failed'; loss: Loss }
  | { how: 'not_started' };

export type TestPool = AsyncDisposable & {
  pool: ExecutorPool;
  loaded: LoadedModel[];
  losses: Loss[];
  run(batch: Batch): Promise<Ended>;
  /** Resolves when every executor takes batches. */
  ready(): Promise<void>;
};

const LOAD_LIMIT_MS = 60_000;

export type TestPoolOptions = {
  shared?: number;
  maxFileBytes?: number;
  providers?: string[];
  /** Until the first answer to a load; afterwards a load may take a minute. */
  firstLoadLimitMs?: number;
};

/** A pool of real executor children over a model repository. */
export async function startPool(dir: string, options: TestPoolOptions = {}): Promise<TestPool> {
  const { models } = await readRepository(dir);
  const plan = planModels(models, {
    shared: options.shared ?? 1,
    runLimitMs: 60_000, // a crowded machine ends no run; a test that wants one ended says so in its model.yaml
    worker: 'worker-test',
    providers: options.providers ?? ['cpu'],
    intraOpThreads: 1,
    maxFileBytes: options.maxFileBytes ?? 16 << 20,
  });
  const waiting = new Map<string, (ended: Ended) => void>();
  const end = (id: string, ended: Ended) => {
    waiting.get(id)?.(ended);
    waiting.delete(id);
  };
  const loaded: LoadedModel[] = [];
  const losses: Loss[] = [];
  let changed = Promise.withResolvers<void>();
  const pool: ExecutorPool = new ExecutorPool({
    plans: plan.executors,
    loads: plan.loads,
    runLimitMs: plan.runLimitMs,
    get loadLimitMs() {
      return loaded.length === 0 ? (options.firstLoadLimitMs ?? LOAD_LIMIT_MS) : LOAD_LIMIT_MS;
    },
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] },
    events: {
      onDone: ({ head }, result) => {
        const frames = result.replies.map(({ frame }) => replyFrameCodec.decode(frame));
        end(head.batchId, { how: 'done', result, frames });
      },
      onFailed: ({ head }, loss) => end(head.batchId, { how: 'failed', loss }),
      onNotStarted: ({ head }) => end(head.batchId, { how: 'not_started' }),
      onLoaded: (_, answer) => loaded.push(answer),
      onLost: (loss) => losses.push(loss),
      onSlots: () => {
        changed.resolve();
        changed = Promise.withResolvers<void>();
      },
    },
  });
  const ready = async () => {
    while (!pool.ready) await changed.promise;
  };
  await ready();
  const run = (batch: Batch) =>
    new Promise<Ended>((resolve) => {
      const message = messageOf(batch);
      const head = batcherMessageHeadCodec.decode(message).batch;
      if (!head) throw new Error('no batch in the message');
      waiting.set(head.batchId, resolve);
      pool.run(head, message);
    });
  return { pool, loaded, losses, run, ready, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
}
