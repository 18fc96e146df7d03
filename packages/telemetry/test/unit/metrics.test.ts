import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counterOf, createMetrics, gaugeOf, histogramOf, labelAllowlist } from '../../src/metrics.ts';
import { METRICS, prometheusName } from '../../src/names.ts';

const linesOf = async (metrics: ReturnType<typeof createMetrics>, name: string) =>
  (await metrics.render()).body.split('\n').filter((line) => line.startsWith(name));

test('a counter adds up by label values', async () => {
  const metrics = createMetrics('gateway');
  const refused = metrics.counter('refused_total', 'Refused', ['class', 'reason']);
  refused.inc({ class: 'bulk', reason: 'queue' });
  refused.inc({ reason: 'queue', class: 'bulk' }, 2);
  refused.bind({ class: 'vip', reason: 'queue' }).inc();
  assert.deepEqual(await linesOf(metrics, 'refused_total'), [
    'refused_total{service="gateway",class="bulk",reason="queue"} 3',
    'refused_total{service="gateway",class="vip",reason="queue"} 1',
  ]);
});

test('a counter never falls and never becomes NaN', async () => {
  const metrics = createMetrics('gateway');
  const counter = metrics.counter('c_total', 'C');
  counter.inc({}, 5);
  counter.inc({}, -1);
  counter.inc({}, Number.NaN);
  assert.deepEqual(await linesOf(metrics, 'c_total'), ['c_total{service="gateway"} 5']);
});

test('a histogram has cumulative buckets, sum and count, and a value on a bound belongs below it', async () => {
  const metrics = createMetrics('batcher');
  const wait = metrics.histogram('wait_seconds', 'Wait', [0.1, 1], ['model']);
  for (const value of [0.05, 0.1, 0.5, 7, Number.NaN]) wait.observe({ model: 'mlp' }, value);
  const labels = 'service="batcher",model="mlp"';
  assert.deepEqual(await linesOf(metrics, 'wait_seconds'), [
    `wait_seconds_bucket{le="0.1",${labels}} 2`,
    `wait_seconds_bucket{le="1",${labels}} 3`,
    `wait_seconds_bucket{le="+Inf",${labels}} 4`,
    `wait_seconds_sum{${labels}} 7.65`,
    `wait_seconds_count{${labels}} 4`,
  ]);
});

test('a metric without labels is there with 0 before anything happened', async () => {
  const metrics = createMetrics('cache');
  metrics.counter('c_total', 'C');
  assert.deepEqual(await linesOf(metrics, 'c_total'), ['c_total{service="cache"} 0']);
});

test('a gauge can be set when it is read, and forgets what is no longer set', async () => {
  const metrics = createMetrics('batcher');
  let rows = { mlp: 3, intent: 1 } as Record<string, number>;
  gaugeOf(metrics, METRICS.queueRows, (gauge) => {
    gauge.reset();
    for (const [model, count] of Object.entries(rows)) gauge.set({ class: 'vip', model }, count);
  });
  assert.equal((await linesOf(metrics, 'spillway_queue_rows{')).length, 2);
  rows = { mlp: 4 };
  assert.deepEqual(await linesOf(metrics, 'spillway_queue_rows{'), [
    'spillway_queue_rows{service="batcher",class="vip",model="mlp"} 4',
  ]);
});

test('label values of any text cannot break out of their line', async () => {
  const metrics = createMetrics('gateway');
  metrics.gauge('g', 'G', ['a']).set({ a: 'x"} 1\nfake 2\\' }, 1);
  assert.deepEqual(await linesOf(metrics, 'g{'), ['g{service="gateway",a="x\\"} 1\\nfake 2\\\\"} 1']);
});

test('values that differ only by where one label ends and the next begins are two series', async () => {
  const metrics = createMetrics('gateway');
  const counter = metrics.counter('c_total', 'C', ['a', 'b']);
  counter.inc({ a: 'x', b: 'yz' });
  counter.inc({ a: 'xy', b: 'z' });
  assert.equal((await linesOf(metrics, 'c_total{')).length, 2);
});

test('what Prometheus would refuse is refused at start', () => {
  const metrics = createMetrics('gateway');
  assert.throws(() => metrics.counter('a.b', 'x'), /metric name/);
  assert.throws(() => metrics.histogram('h', 'x', [1, 2], ['le']), /other than "le"/);
  assert.throws(() => metrics.histogram('h', 'x', [2, 1]), /ascending buckets/);
  metrics.counter('once_total', 'x');
  assert.throws(() => metrics.counter('once_total', 'x'), /already been registered/);
  assert.throws(
    () => metrics.counter('d_total', 'x', ['a']).inc({} as { a: string }),
    /needs a value for its label "a"/,
  );
});

test('an unknown label value becomes other, and a live list is asked each time', () => {
  const models = new Map([['mlp', 1]]);
  const model = labelAllowlist(models);
  assert.deepEqual([model('mlp'), model('intent')], ['mlp', 'other']);
  models.set('intent', 2);
  assert.equal(model('intent'), 'intent');
  assert.equal(labelAllowlist(['http', 'grpc'])('ftp'), 'other');
});

test('the process reports memory, processor time and its event loop', async () => {
  const { body, contentType } = await createMetrics('gateway').render();
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  for (const name of [
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
    'nodejs_eventloop_utilization_ratio',
  ])
    assert.match(body, new RegExp(`^${name}\\{service="gateway"\\} [0-9.]+$`, 'm'));
  assert.match(body, /^process_resident_memory_bytes\S* [1-9]\d+$/m);
});

test('names of metrics are derived with their unit', () => {
  assert.equal(prometheusName('spillway.queue.wait', 's', 'histogram'), 'spillway_queue_wait_seconds');
  assert.equal(prometheusName('spillway.queue.rows', 'rows', 'gauge'), 'spillway_queue_rows');
  assert.equal(prometheusName('spillway.admission.refused', 'requests', 'counter'), 'spillway_admission_refused_total');
});

test('every metric of the catalogue can be made, all in one registry', async () => {
  const metrics = createMetrics('gateway');
  for (const spec of Object.values(METRICS)) {
    if (spec.kind === 'counter') counterOf(metrics, spec);
    else if (spec.kind === 'gauge') gaugeOf(metrics, spec);
    else histogramOf(metrics, spec);
  }
  const { body } = await metrics.render();
  for (const spec of Object.values(METRICS)) assert.match(body, new RegExp(`^# TYPE ${spec.name} ${spec.kind}$`, 'm'));
});
