import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Inputs, SpillwayClient, SpillwayClientError } from '@spillway/client';
import { freePort } from '@spillway/testing/free-port';
import type { Mesh } from '@spillway/testing/mesh';
import { casesOf, differenceOf, MODELS_WITH_CASES, type ModelCase, type OipTensor } from '../support/cases.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: MODELS_WITH_CASES });
});
after(() => mesh?.[Symbol.asyncDispose]());

const DOORS = {
  http: () => new SpillwayClient({ url: mesh.url, key: mesh.keys.vip }),
  grpc: () => new SpillwayClient({ url: `grpc://${mesh.grpc}`, key: mesh.keys.vip }),
  nats: () => new SpillwayClient({ url: mesh.nats.url, http: mesh.url, tenant: 'acme' }),
};
const doors = Object.keys(DOORS) as (keyof typeof DOORS)[];

const inputsOf = ({ inputs }: ModelCase): Inputs =>
  Object.fromEntries(Object.entries(inputs).map(([name, { data, shape }]) => [name, { data, shape }]));

const oip = (outputs: Record<string, { datatype: string; shape: number[]; data: ArrayLike<unknown> }>): OipTensor[] =>
  Object.entries(outputs).map(([name, { datatype, shape, data }]) => ({
    name,
    datatype,
    shape,
    data: Array.from(data as ArrayLike<number>),
  }));

const failure = async (call: Promise<unknown>): Promise<SpillwayClientError> => {
  const thrown = await call.then(
    () => assert.fail('it was answered'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof SpillwayClientError, String(thrown));
  return thrown;
};

for (const door of doors) {
  for (const model of MODELS_WITH_CASES) {
    test(`${model} over ${door} answers as plain ONNX Runtime does`, async () => {
      await using client = DOORS[door]();
      for (const wanted of casesOf(model).slice(0, 4)) {
        const { outputs, version } = await client.infer(model, inputsOf(wanted));
        assert.equal(differenceOf(wanted, oip(outputs)), undefined);
        if (door !== 'nats') assert.equal(version, '1');
      }
    });
  }

  test(`over ${door} an input that does not fit fails before it is sent, and an unknown model by the mesh's own words`, async () => {
    await using client = DOORS[door]();
    const wrong = await failure(client.infer('mlp', { x: { data: [1, 2, 3], shape: [1, 64], datatype: 'FP32' } }));
    assert.equal(wrong.code, 'INVALID_REQUEST');
    assert.match(wrong.message, /"x".*64 elements.*got 3/);
    const unknown = { x: { data: new Float32Array(64), shape: [1, 64] } };
    const missing = await failure(client.infer('nothing', unknown));
    assert.equal(missing.code, 'MODEL_NOT_FOUND');
    assert.equal(missing.isRetryable, false);
  });

  test(`over ${door} a signal ends a call at once`, async () => {
    await using client = DOORS[door]();
    const leaving = new AbortController();
    const call = failure(client.infer('simulated', { x: [[1]] }, { signal: leaving.signal }));
    leaving.abort();
    assert.equal((await call).code, 'CANCELLED');
    await failure(client.infer('simulated', { x: [[1]] }, { signal: leaving.signal }));
  });
}

for (const door of ['http', 'grpc'] as const) {
  test(`over ${door} plain values take the shape of the model, typed arrays too, and the receipt says how it went`, async () => {
    await using client = DOORS[door]();
    const { outputs, receipt } = await client.infer<{ label: string[]; scores: Float32Array }>(
      'intent',
      { text: ['my card has not arrived yet', 'I typed the wrong PIN three times'] },
      { cache: 'no-cache' },
    );
    assert.deepEqual(outputs.label.shape, [2, 1]);
    assert.equal(outputs.label.data[0], 'card_arrival');
    assert.ok(outputs.scores.data instanceof Float32Array);
    assert.ok(['run', 'wait'].includes(receipt.rung ?? ''), receipt.rung);
    assert.equal(receipt.batchSize, 2);
    assert.ok(receipt.runMs !== undefined && receipt.runMs > 0);
    assert.ok(receipt.requestId);
    const two = await client.infer<{ y: Float32Array }>('mlp', { x: new Float32Array(128) }, { outputs: ['y'] });
    assert.deepEqual(two.outputs.y.shape, [2, 1]);
  });

  test(`over ${door} the deadline is told to the mesh, which answers in time`, async () => {
    await using client = DOORS[door]();
    const error = await failure(client.infer('simulated', { x: Array(32).fill(1) }, { timeoutMs: 20 }));
    assert.ok(['DEADLINE_EXCEEDED', 'OVERLOADED'].includes(error.code), error.code);
  });

  test(`over ${door} models are listed, described once, and the mesh says that it is ready`, async () => {
    await using client = DOORS[door]();
    const models = await client.models();
    const simple = models.find(({ name }) => name === 'simple');
    assert.deepEqual(simple, { name: 'simple', ready: true, versions: [{ version: '1', ready: true, reason: '' }] });
    const { inputs } = await client.model('simple');
    assert.deepEqual(inputs[0], { name: 'INPUT0', datatype: 'INT32', shape: [-1, 16] });
    assert.equal(await client.ready(), true);
  });

  test(`over ${door} a stream answers in order, and a request that fails does not end it`, async () => {
    await using client = DOORS[door]();
    const cases = casesOf('mlp');
    async function* requests(): AsyncGenerator<Inputs> {
      for (let n = 0; n < 100; n += 1) yield n === 50 ? { nonsense: [1] } : inputsOf(cases[n % cases.length]!);
    }
    let count = 0;
    for await (const { index, result, error } of client.stream('mlp', requests(), { inFlight: 8 })) {
      assert.equal(index, count);
      count += 1;
      if (index === 50) assert.match(error?.message ?? '', /no input "nonsense"/);
      else assert.equal(differenceOf(cases[index % cases.length]!, oip(result!.outputs)), undefined);
    }
    assert.equal(count, 100);
  });

  test(`over ${door} who leaves a stream cancels what is under way`, async () => {
    await using client = DOORS[door]();
    let ended = false;
    async function* endless(): AsyncGenerator<Inputs> {
      try {
        for (;;) yield { x: new Float32Array(64) };
      } finally {
        ended = true;
      }
    }
    for await (const { index } of client.stream('mlp', endless())) if (index === 20) break;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(ended, true);
    const { outputs } = await client.infer('mlp', { x: new Float32Array(64) }); // the connection is still good
    assert.equal(outputs['y']?.data.length, 1);
  });

  test(`over ${door} the class and the trace of the caller travel`, async () => {
    await using client = DOORS[door]();
    const { receipt } = await client.infer(
      'mlp',
      { x: new Float32Array(64) },
      { class: 'bulk', requestId: `mine-${door}` },
    );
    assert.equal(receipt.trafficClass, 'bulk');
    assert.equal(receipt.requestId, `mine-${door}`);
  });

  test(`over ${door} a wrong key is UNAUTHENTICATED`, async () => {
    const url = door === 'http' ? mesh.url : `grpc://${mesh.grpc}`;
    await using client = new SpillwayClient({ url, key: 'sk_nobody_0' });
    assert.equal((await failure(client.models())).code, 'UNAUTHENTICATED');
  });

  test(`where nobody listens, ${door} is UNAVAILABLE after the retries, and not ready`, async () => {
    const url = `${door}://127.0.0.1:${await freePort()}`;
    await using client = new SpillwayClient({ url, retry: { maxAttempts: 2 } });
    const error = await failure(client.infer('mlp', { x: { data: new Float32Array(64), shape: [1, 64] } }));
    assert.equal(error.code, 'UNAVAILABLE');
    assert.equal(error.isRetryable, true);
    assert.equal(await client.ready(), false);
  });
}

test('over nats the same idempotency key gives the stored result, without a second run', async () => {
  await using client = DOORS.nats();
  const [wanted] = casesOf('mlp');
  const first = await client.infer('mlp', inputsOf(wanted!), { idempotencyKey: 'once-1' });
  const again = await client.infer('mlp', inputsOf(wanted!), { idempotencyKey: 'once-1', timeoutMs: 60_000 });
  assert.deepEqual(again.outputs, first.outputs);
});

test('bytes come as they are, if asked for', async () => {
  for (const door of ['http', 'grpc'] as const) {
    await using client = DOORS[door]();
    const { inputs, outputs } = await client.model('identity');
    const nameOf = (tensors: typeof inputs): string => tensors.find(({ datatype }) => datatype === 'BYTES')!.name;
    const text = new TextEncoder().encode('žluť');
    const given: Inputs = Object.fromEntries(
      inputs.map(({ name, datatype }) => [name, datatype === 'BYTES' ? [text] : [1.5]]),
    );
    const answer = await client.infer('identity', given, { bytes: 'binary' });
    assert.deepEqual(Uint8Array.from(answer.outputs[nameOf(outputs)]!.data[0] as Uint8Array), text);
  }
});
