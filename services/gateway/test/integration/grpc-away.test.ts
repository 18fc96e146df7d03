import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectBus } from '@spillway/bus/connect';
import { until } from '@spillway/testing/until';
import { mlp } from '../unit/fixtures.ts';
import { startGatewayUnderTest } from './gateway-under-test.ts';
import { type Failure, InferenceClient } from './grpc-client.ts';
import { PlayedWorker } from './played-worker.ts';

const ask = {
  model_name: 'mlp',
  id: 'mine',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2] } }],
};

test('a drain says so first, answers what is in flight, and ends streams with a retryable status', async () => {
  await using mesh = await startGatewayUnderTest({ models: [mlp] });
  await using bus = await connectBus({ url: mesh.nats.url, service: 'gpu-worker', instance: 'worker-1' });
  await using held = new PlayedWorker(bus, mlp, () => undefined);
  using client = new InferenceClient(mesh.gateway.ports.grpc);
  const unary = client.infer(ask);
  const stream = client.stream();
  stream.send(ask);
  await held.request(1);
  const idle = client.stream();
  const states = client.watchHealth('');
  await until('the state is told', () => states.length > 0);
  const drained = mesh.gateway.drain(60_000);
  await until('the drain is told', () => states.length > 1);
  assert.deepEqual(states, ['SERVING', 'NOT_SERVING']);
  const failure = (await idle.ended) as Failure;
  assert.deepEqual([failure.code, failure.trailers['spillway-reason']], [14, 'draining']);
  for (const arrived of held.arrived) held.reply(arrived, []);
  assert.equal((await unary).answer.id, 'mine');
  assert.equal((await stream.received(1))[0]?.infer_response.id, 'mine');
  assert.equal((await stream.ended)?.code, 14);
  await drained;
});

test('while NATS is away calls fail at once and can be repeated; a stream outlives it', async () => {
  await using mesh = await startGatewayUnderTest({ models: [mlp] });
  await using bus = await connectBus({ url: mesh.nats.url, service: 'gpu-worker', instance: 'worker-1' });
  let answering = false;
  await using held = new PlayedWorker(bus, mlp, () => (answering ? [] : undefined));
  using client = new InferenceClient(mesh.gateway.ports.grpc);
  const stream = client.stream();
  stream.send(ask);
  await held.request(0);
  await mesh.nats.stop();
  const [inFlight] = await stream.received(1);
  assert.match(inFlight?.error_message ?? '', /the message bus is away/);
  // Who waited for a server that may not return would be told of the deadline, a minute later.
  await assert.rejects(client.infer(ask), (failure: Failure) => {
    assert.deepEqual([failure.code, failure.trailers['spillway-reason']], [14, 'bus']);
    assert.ok(Number(failure.trailers['grpc-retry-pushback-ms']) > 0, 'when to try again');
    return true;
  });
  assert.deepEqual(await client.call('ServerReady', {}), { ready: false });
  answering = true;
  await mesh.nats.restart();
  await until(
    'the gateway is ready again',
    async () => ((await client.call('ServerReady', {})) as { ready: boolean }).ready,
  );
  stream.send(ask);
  const [, good] = await stream.received(2);
  assert.equal(good?.error_message, '');
  stream.halfClose();
  await stream.ended;
});
