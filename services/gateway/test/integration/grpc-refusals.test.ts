import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cancelCodec } from '@spillway/contracts/messages';
import { ALL_CANCELS } from '@spillway/contracts/subjects';
import { until } from '@spillway/testing/until';
import { usableMs } from '../../src/adapters/grpc-call.ts';
import type { InferenceClient } from './grpc-client.ts';
import { ask, failureOf, floats, type GrpcMesh, startGrpcMesh } from './grpc-mesh.ts';

let world: GrpcMesh;
let client: InferenceClient;
before(async () => {
  world = await startGrpcMesh();
  client = world.client;
});
after(() => world[Symbol.asyncDispose]());

/** Requests of this door that ended with this code, by the metrics page. */
async function endedAs(code: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${world.mesh.gateway.ports.metrics}/metrics`)).text();
  const ofDoor = page.split('\n').filter((line) => /duration_seconds_count\{.*door="grpc"/.test(line));
  const counted = ofDoor.filter((line) => line.includes(`code="${code}"`));
  return counted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const WRONG: [what: string, request: object, code: number, spillway: string, text: RegExp][] = [
  ['an unknown model', ask('nope'), 5, 'MODEL_NOT_FOUND', /no such model/],
  ['no model', ask(''), 3, 'INVALID_REQUEST', /model_name/],
  ['an unknown version', ask('mlp', [1, 2], { model_version: '9' }), 5, 'MODEL_NOT_FOUND', /it has 1, 2/],
  [
    'a wrong datatype',
    {
      model_name: 'mlp',
      inputs: [{ name: 'x', datatype: 'INT32', shape: [1, 2], contents: { int_contents: [1, 2] } }],
    },
    3,
    'INVALID_REQUEST',
    /input "x": expected datatype FP32, got INT32/,
  ],
  ['a wrong shape', ask('mlp', [1, 2, 3]), 3, 'INVALID_REQUEST', /input "x": expected shape \[-1,2\], got \[1,3\]/],
  [
    'raw bytes of the wrong size',
    {
      model_name: 'mlp',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
      raw_input_contents: [Buffer.alloc(4)],
    },
    3,
    'INVALID_REQUEST',
    /input "x": expected 8 bytes for shape \[1,2\], got 4/,
  ],
  ['a missing input', { model_name: 'mlp' }, 3, 'INVALID_REQUEST', /expected a tensor "x"/],
  [
    'an unknown output',
    ask('mlp', [1, 2], { outputs: [{ name: 'q' }] }),
    3,
    'INVALID_REQUEST',
    /no output "q"; it has y/,
  ],
  ['what the model fails on', ask('mlp', [13, 0]), 13, 'BACKEND_FAILED', /the model failed/],
  [
    'a sequence',
    ask('mlp', [1, 2], { parameters: { sequence_id: { int64_param: '1' } } }),
    12,
    'UNSUPPORTED',
    /sequence_id/,
  ],
];
for (const [what, request, code, spillway, text] of WRONG) {
  test(`${what} is refused as ${spillway}`, async () => {
    const failure = await failureOf(client.infer(request));
    assert.deepEqual([failure.code, failure.trailers['spillway-error']], [code, spillway]);
    assert.match(failure.details, text);
    assert.ok(failure.trailers['grpc-status-details-bin'], 'the details travel');
    assert.equal(failure.trailers['grpc-retry-pushback-ms'], '-1', 'no retry of what fails again');
  });
}

test('a wrong key is refused at every method that needs one, and no key is anonymous on loopback', async () => {
  const headers = { authorization: `Bearer ${world.keys.vip.slice(0, -1)}!` };
  for (const [name, request] of [
    ['ModelInfer', ask('mlp')],
    ['ModelMetadata', { name: 'mlp' }],
    ['RepositoryIndex', {}],
  ] as const) {
    const failure = await failureOf(client.call(name, request, { headers }));
    assert.deepEqual([failure.code, failure.trailers['spillway-error']], [16, 'UNAUTHENTICATED'], name);
  }
  assert.ok((await client.infer(ask('mlp'))).answer);
});

test('metadata that cannot be read is refused by its name', async () => {
  for (const headers of [{ 'spillway-timeout-ms': 'soon' }, { 'spillway-class': 'gold' }] as Record<string, string>[]) {
    const failure = await failureOf(client.infer(ask('mlp'), { headers }));
    assert.equal(failure.code, 3);
    assert.match(failure.details, new RegExp(Object.keys(headers)[0] as string));
  }
});

test('a message above the limit is refused, and the connection goes on', async () => {
  const big = ask('mlp', new Array(20_000).fill(1));
  const [failure, good] = await Promise.all([failureOf(client.infer(big)), client.infer(ask('mlp', [4, 2]))]);
  assert.equal(failure.code, 8);
  assert.deepEqual([...floats(good.answer.raw_output_contents[0] as Buffer)], [4]);
});

test('the door answers before the client would give up, so that no stream is reset', async () => {
  const sentMs = performance.now();
  // By hand, so that the client itself does not act on it, however busy this machine is.
  const failure = await failureOf(client.infer(ask('slow'), { headers: { 'grpc-timeout': '1000m' } }));
  const tookMs = performance.now() - sentMs;
  assert.deepEqual([failure.code, failure.trailers['spillway-error']], [4, 'DEADLINE_EXCEEDED']);
  const [, deadlineMs] = /within the deadline of (\d+) ms/.exec(failure.details) ?? [];
  assert.ok(Number(deadlineMs) <= 980, failure.details); // less if the call was read late
  assert.ok(tookMs > 950, `${tookMs} ms`);
});

test('of a client’s deadline 2 % are kept for the way back, at least 5 ms', () => {
  assert.deepEqual([1_000, 250, 100, 3].map(usableMs), [980, 245, 95, 0]);
});

test('a call whose time is over when it arrives is refused at once', async () => {
  const failure = await failureOf(client.infer(ask('slow'), { headers: { 'spillway-timeout-ms': '0' } }));
  assert.deepEqual([failure.code, failure.trailers['spillway-reason']], [4, 'expired']);
});

test('a client that cancels is told to the batchers, and its late answer is ignored', async () => {
  const before = await endedAs('CANCELLED');
  const cancelled: number[] = [];
  const watch = world.mesh.bus.subscribe(ALL_CANCELS, ({ payload }) =>
    cancelled.push(...cancelCodec.decode(payload).seqs),
  );
  const at = world.held.arrived.length;
  const abort = new AbortController();
  const call = failureOf(client.infer(ask('slow'), { signal: abort.signal }));
  const arrived = await world.held.request(at);
  abort.abort();
  assert.equal((await call).code, 1);
  await until('the cancel was published', () => cancelled.includes(arrived.item.seq));
  world.held.reply(arrived, []);
  assert.ok((await client.infer(ask('mlp'))).answer, 'the connection goes on');
  assert.equal((await endedAs('CANCELLED')) - before, 1, 'counted once');
  watch.stop();
});
