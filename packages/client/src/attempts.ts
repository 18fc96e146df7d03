import type { CallScope } from './call-scope.ts';
import { SpillwayClientError } from './errors.ts';
import { nextTryInMs, type RetryRules } from './retry.ts';

/**
 * Tries until there is an answer, a failure that no repetition changes, or no budget. This is the one layer that retries.
 * @throws SpillwayClientError of the last try.
 */
export async function withRetries<T>(scope: CallScope, rules: RetryRules, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    scope.signal.throwIfAborted();
    try {
      const answer = await attempt();
      rules.budget.succeeded();
      return answer;
    } catch (thrown) {
      const error = asClientError(thrown);
      const inMs = nextTryInMs(error, tries, scope.leftMs, rules);
      if (inMs === undefined) throw error;
      await scope.sleep(inMs);
    }
  }
}

/** The one funnel from anything thrown: typed passes, the rest is a bug of the client or of what it stands on. */
export const asClientError = (thrown: unknown): SpillwayClientError =>
  thrown instanceof SpillwayClientError
    ? thrown
    : new SpillwayClientError('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
