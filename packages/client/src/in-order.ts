/**
 * Starts work for each item of a source, at most `limit` at a time, and yields the outcomes in the order of the items, each as soon
 * as it and all before it are there: a source that pauses holds nothing back. `start` must not reject.
 */
export async function* inOrder<In, Out>(
  source: AsyncIterable<In> | Iterable<In>,
  limit: number,
  start: (item: In, index: number) => Promise<Out>,
): AsyncGenerator<Out, void, undefined> {
  const iterator = iteratorOf(source);
  const running: Promise<{ out: Out }>[] = [];
  let reading: Promise<{ read: IteratorResult<In> }> | undefined;
  let ended = false;
  let count = 0;
  try {
    for (;;) {
      if (!ended && running.length < limit) reading ??= Promise.resolve(iterator.next()).then((read) => ({ read }));
      const [first] = running;
      const next = [reading, first].filter((promise) => promise !== undefined);
      if (next.length === 0) return;
      const event = await Promise.race(next);
      if ('read' in event) {
        reading = undefined;
        if (event.read.done === true) ended = true;
        else running.push(start(event.read.value, count++).then((out) => ({ out })));
      } else {
        running.shift();
        yield event.out;
      }
    }
  } finally {
    // Not awaited: a generator that waits for its own source would never come back.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

const iteratorOf = <In>(source: AsyncIterable<In> | Iterable<In>): AsyncIterator<In> | Iterator<In> =>
  Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
