import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openTraceStore } from '../../src/traces/trace-store.ts';
import { sampleTrace, span, TRACE_ID } from './sample-trace.ts';

const traceIdOf = (n: number) => n.toString(16).padStart(32, 'a');
const oneSpan = (n: number, attributes = {}) =>
  span({
    id: `s${n}`,
    traceId: traceIdOf(n),
    at: n,
    took: 1,
    attributes: { 'spillway.request.id': `r${n}`, ...attributes },
  });

async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'spillway-traces-'));
  return {
    dir: join(path, 'traces'),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

test('a trace is found by id, by unique prefix and by request id, with its spans by start', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir);
  store.add(sampleTrace().spans.toReversed());
  for (const id of [TRACE_ID, TRACE_ID.toUpperCase(), '4bf9', 'req-7'])
    assert.deepEqual(store.find(id), { kind: 'trace', trace: sampleTrace() }, id);
  for (const id of ['4bf', '4bfa', 'req-8', '']) assert.deepEqual(store.find(id), { kind: 'none' }, id);
});

test('a prefix that several traces share names them', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir);
  store.add([oneSpan(1), oneSpan(2)]);
  assert.deepEqual(store.find('aaaa'), { kind: 'ambiguous', traceIds: [traceIdOf(1), traceIdOf(2)] });
});

test('a span that is sent twice is kept once', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir);
  store.add(sampleTrace().spans);
  store.add(sampleTrace().spans);
  assert.equal(store.list(1)[0]?.spans, 10);
});

test('the list is newest first and sums each trace up', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir);
  store.add([oneSpan(1)]);
  store.add(sampleTrace().spans);
  assert.deepEqual(store.list(1), [
    {
      traceId: TRACE_ID,
      requestId: 'req-7',
      name: 'request',
      service: 'gateway',
      startMs: 1_700_000_000_000,
      durationMs: store.list(1)[0]?.durationMs,
      spans: 10,
      services: 5,
      error: 'DEADLINE_EXCEEDED',
    },
  ]);
  assert.equal(store.list(5).length, 2);
});

test('only the last traces are kept, and a request id of a dropped one is forgotten', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir, { maxTraces: 3 });
  store.add([1, 2, 3, 4, 5].map((n) => oneSpan(n)));
  assert.deepEqual(
    store.list(10).map((trace) => trace.requestId),
    ['r5', 'r4', 'r3'],
  );
  assert.deepEqual(store.find('r1'), { kind: 'none' });
});

test('a request id that comes again finds its newest trace', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir, { maxTraces: 2 });
  store.add([oneSpan(1, { 'spillway.request.id': 'again' }), oneSpan(2, { 'spillway.request.id': 'again' })]);
  store.add([oneSpan(3)]); // drops the first
  const found = store.find('again');
  assert.equal(found.kind === 'trace' && found.trace.traceId, traceIdOf(2));
});

test('a runaway trace is cut and does not push others out', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir, { maxSpansPerTrace: 5 });
  store.add(sampleTrace().spans);
  assert.equal(store.list(1)[0]?.spans, 5);
});

test('traces outlive the process that received them', async () => {
  await using at = await folder();
  {
    await using store = await openTraceStore(at.dir);
    store.add(sampleTrace().spans);
  }
  await using again = await openTraceStore(at.dir);
  assert.deepEqual(again.find('req-7'), { kind: 'trace', trace: sampleTrace() });
});

test('opening a store writes nothing, so that it can be read beside its writer', async () => {
  await using at = await folder();
  await using writer = await openTraceStore(at.dir);
  writer.add([oneSpan(1)]);
  await writer.flush();
  const before = await readdir(at.dir);
  await using reader = await openTraceStore(at.dir);
  assert.equal(reader.find('r1').kind, 'trace');
  assert.deepEqual(await readdir(at.dir), before);
  writer.add([oneSpan(2)]);
  await writer.flush();
  assert.deepEqual(await readdir(at.dir), before);
});

test('a torn last line and foreign lines are left out', async () => {
  await using at = await folder();
  {
    await using store = await openTraceStore(at.dir);
    store.add([oneSpan(1)]);
  }
  const [segment] = await readdir(at.dir);
  await appendFile(join(at.dir, segment!), '[1]\nnull\n{"traceId":"x"}\n{"traceId":"torn');
  await using store = await openTraceStore(at.dir);
  assert.equal(store.list(10).length, 1);
  store.add([oneSpan(2)]);
  await store.flush();
  await using again = await openTraceStore(at.dir);
  assert.equal(again.list(10).length, 2, 'the torn line did not swallow the next');
});

test('segments are compacted to the traces that are kept', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir, { maxTraces: 10 });
  const text = 'x'.repeat(1_000);
  for (let n = 0; n < 20_000; n += 100) {
    store.add(Array.from({ length: 100 }, (_, index) => oneSpan(n + index, { text })));
    await store.flush();
  }
  const names = await readdir(at.dir);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(at.dir, name))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total < 10 * 2 ** 20, `${total} bytes are left of 25 MB`);
  await using again = await openTraceStore(at.dir, { maxTraces: 10 });
  assert.deepEqual(again.list(10), store.list(10));
});

test('many short runs do not leave many files', async () => {
  await using at = await folder();
  for (let n = 0; n < 40; n += 1) {
    await using store = await openTraceStore(at.dir);
    store.add([oneSpan(n)]);
  }
  assert.ok((await readdir(at.dir)).length <= 17);
  await using store = await openTraceStore(at.dir);
  assert.equal(store.list(100).length, 40);
  assert.equal(store.list(1)[0]?.requestId, 'r39');
});

test('a disk that refuses is reported once, and traces stay in memory', async () => {
  await using at = await folder();
  await writeFile(at.dir, 'a file where the folder should be');
  const failures: unknown[] = [];
  await using store = await openTraceStore(at.dir, { onDiskFailure: (cause) => failures.push(cause) });
  store.add([oneSpan(1)]);
  await store.flush();
  store.add([oneSpan(2)]);
  await store.flush();
  assert.equal(failures.length, 1);
  assert.equal(store.find('r2').kind, 'trace');
  assert.equal(await readFile(at.dir, 'utf8'), 'a file where the folder should be');
});

test('files of traces are for their owner only', async () => {
  await using at = await folder();
  await using store = await openTraceStore(at.dir);
  store.add([oneSpan(1)]);
  await store.flush();
  const [segment] = await readdir(at.dir);
  assert.equal((await stat(at.dir)).mode & 0o077, 0);
  assert.equal((await stat(join(at.dir, segment!))).mode & 0o077, 0);
});
