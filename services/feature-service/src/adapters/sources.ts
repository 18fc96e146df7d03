import { once } from 'node:events';
import { Breaker } from '@spillway/lifecycle/breaker';
import type { Clock } from '@spillway/lifecycle/clock';
import { closeRedis, openRedis } from '@spillway/redis/client';
import type { FeatureSource, FeatureView, SourceKind } from '../core/feature-view.ts';
import { RedisSource } from './redis-source.ts';
import { SqliteSource } from './sqlite-source.ts';

/** A source and the breaker that all its views share. */
export type GuardedSource = { source: FeatureSource; breaker: Breaker };
export type Sources = AsyncDisposable & { of(view: FeatureView): GuardedSource };

type SourcesConfig = { redisUrl: string; sqlitePath: string; instance: string };
type OnFact = (fact: { what: string; [detail: string]: unknown }) => void;

/** A start waits no longer for a source: without it values are defaults, and it is used as soon as it is there. */
const WARM_UP_MS = 1_000;
/** What no entity is called, and every source can be asked for. */
const NOBODY = '-';

/**
 * Opens what the views need, and asks every view once, so that the first caller waits neither for a connection nor for the
 * SQLite thread, and a missing table is told at start.
 */
export async function openSources(
  views: readonly FeatureView[],
  config: SourcesConfig,
  clock: Clock,
  onFact: OnFact,
): Promise<Sources> {
  const opened = new Map<SourceKind, GuardedSource>();
  const closing = new AsyncDisposableStack();
  const longestMs = (kind: SourceKind) =>
    Math.ceil(Math.max(...views.filter(({ source }) => source.kind === kind).map(({ timeoutMs }) => timeoutMs)));
  const guarded = (source: FeatureSource) => {
    const breaker = new Breaker({ clock, failures: 5, windowMs: 1_000, openMs: 1_000 });
    opened.set(source.kind, { source, breaker });
  };
  const kinds = new Set(views.map(({ source }) => source.kind));
  if (kinds.has('redis')) {
    const redis = openRedis({
      url: config.redisUrl,
      commandTimeoutMs: 2 * longestMs('redis'), // round trips have a timer of their own
      connectionName: config.instance,
      onFact,
    });
    closing.defer(() => closeRedis(redis));
    await once(redis, 'ready', { signal: AbortSignal.timeout(WARM_UP_MS) }).catch(() => undefined);
    guarded(new RedisSource(redis));
  }
  if (kinds.has('sqlite')) {
    guarded(closing.use(new SqliteSource({ path: config.sqlitePath, busyTimeoutMs: longestMs('sqlite') })));
  }
  const of = ({ source }: FeatureView): GuardedSource => {
    const found = opened.get(source.kind);
    if (found === undefined) throw new Error(`bug: no source of kind ${source.kind} was opened`);
    return found;
  };
  const failed = (view: FeatureView, error: unknown) =>
    onFact({ what: 'view cannot be read yet; defaults stand in', view: view.view, error: (error as Error).message });
  const asked = views.map((view) =>
    of(view)
      .source.fetch(view, [NOBODY])
      .catch((error: unknown) => failed(view, error)),
  );
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, WARM_UP_MS);
  await Promise.race([Promise.all(asked), late]);
  clearTimeout(timer);
  return { of, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}
