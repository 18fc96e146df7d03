/** A run that failed, for one request of it. `fault` is what was thrown: for the log. */
export type Isolated<T, A> = { item: T; answer: A } | { item: T; fault: unknown };

/**
 * Runs requests together; where that fails, finds the failing ones so that the others are answered. Halving keeps the good
 * half's answers, and everything that was set aside on the way runs once more, together: for one failing request among n at
 * most ⌈log₂ n⌉ + 1 further runs. The last suspect is run alone if no smaller run has failed yet, because then the size
 * itself may have been what failed.
 * @param run Answers in the order of its requests, or throws when any of them made it fail.
 * @returns In the order of `items`.
 */
export async function runIsolating<T, A>(
  items: readonly T[],
  run: (items: readonly T[]) => Promise<A[]>,
): Promise<Isolated<T, A>[]> {
  const found = new Map<T, Isolated<T, A>>();
  const keep = (group: readonly T[], answers: A[]) => {
    for (let i = 0; i < group.length; i += 1) {
      const item = group[i] as T;
      found.set(item, { item, answer: answers[i] as A });
    }
  };
  let open: readonly T[] = items;
  while (open.length > 0) {
    const first = await attempt(open, run);
    if ('answers' in first) {
      if (open === items) return items.map((item, i) => ({ item, answer: first.answers[i] as A })); // the usual case
      keep(open, first.answers);
      break;
    }
    let fault = first.fault;
    let suspects = open;
    let smallerFailed = open.length === 1;
    const aside: T[] = [];
    while (suspects.length > 1) {
      const half = suspects.length >> 1;
      const left = suspects.slice(0, half);
      const right = suspects.slice(half);
      const outcome = await attempt(left, run);
      if ('answers' in outcome) {
        keep(left, outcome.answers);
        suspects = right;
      } else {
        fault = outcome.fault;
        smallerFailed = true;
        aside.push(...right);
        suspects = left;
      }
    }
    const alone = smallerFailed ? { fault } : await attempt(suspects, run);
    if ('answers' in alone) keep(suspects, alone.answers);
    else found.set(suspects[0] as T, { item: suspects[0] as T, fault: alone.fault });
    open = aside;
  }
  return items.map((item) => found.get(item) as Isolated<T, A>);
}

async function attempt<T, A>(
  items: readonly T[],
  run: (items: readonly T[]) => Promise<A[]>,
): Promise<{ answers: A[] } | { fault: unknown }> {
  try {
    return { answers: await run(items) };
  } catch (fault) {
    return { fault };
  }
}
