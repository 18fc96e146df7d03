import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clientOf } from '@spillway/bus/connect';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { workFrameCodec } from '@spillway/contracts/messages';
import { EVENTS_CONSUMER, EVENTS_STREAM, JOBS_STREAM, STREAMS, type StreamSpec } from '@spillway/contracts/streams';
import { eventsSubject, jobsSubject } from '@spillway/contracts/subjects';
import { FaultProxy, type Filter } from '@spillway/testing/fault-proxy';
import { freePort } from '@spillway/testing/free-port';
import { startProcess } from '@spillway/testing/process';
import { until } from '@spillway/testing/until';
import { decodeTensors } from '../../src/core/tensor-codec.ts';
import { mlp } from '../unit/fixtures.ts';
import { startFeaturePeer } from './feature-peer.ts';
import { type GatewayUnderTest, gatewayEnv, startGatewayAt, startGatewayUnderTest } from './gateway-under-test.ts';
import { consumerOf, lastOf, messagesIn, type Stored } from './jetstream-peek.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const x = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
const joined: ModelRecord = {
  ...mlp,
  model: 'joined',
  inputs: [{ name: 'id', datatype: 'BYTES', dims: [1] }],
  features: { entity: 'id', tensors: [{ view: 'profile', input: 'p' }] },
};
const byId = { inputs: [{ name: 'id', datatype: 'BYTES', shape: [1, 1], data: ['7'] }] };
const rows = [
  { view: 'profile', fields: 2, values: new Uint8Array(Float32Array.of(5, 6).buffer), status: Uint8Array.of(0, 0) },
];

const send = ({ bus }: GatewayUnderTest, model: string, payload: unknown) =>
  bus.publishToStream(eventsSubject('acme', model), Buffer.from(JSON.stringify(payload)));
const events = ({ bus }: GatewayUnderTest) => messagesIn(bus, EVENTS_STREAM);
const jobs = ({ bus }: GatewayUnderTest) => messagesIn(bus, JOBS_STREAM);
const heldOf = async ({ bus }: GatewayUnderTest) =>
  (await consumerOf(bus, EVENTS_STREAM, EVENTS_CONSUMER.durable)).num_ack_pending;
const metricsOf = async ({ gateway }: GatewayUnderTest) =>
  (await fetch(`http://127.0.0.1:${gateway.ports.metrics}/metrics`)).text();
const delayedOf = async (mesh: GatewayUnderTest, reason: string) =>
  Number(
    new RegExp(`spillway_events_delayed_total{[^}]*"${reason}"[^}]*} (\\d+)`).exec(await metricsOf(mesh))?.[1] ?? 0,
  );

const JOB_ACK = `"stream":"${JOBS_STREAM}"`;
/** Passes on what the server says until it acknowledges a job: that, and all that follows, stays under way. */
const untilJobAck: Filter = (pass) => {
  let tail = Buffer.alloc(0);
  let isOver = false;
  return (chunk) => {
    const seen = Buffer.concat([tail, chunk]);
    isOver ||= seen.includes(JOB_ACK);
    if (isOver) return;
    tail = seen.subarray(-JOB_ACK.length);
    pass(chunk);
  };
};

describe('events and faults', { concurrency: true }, () => {
  test('a gateway killed between publish and acknowledgement: another takes the event, and there is one job', async () => {
    await using mesh = await startGatewayUnderTest({ models: [mlp] });
    await mesh.gateway.drain(500); // only the one that will be killed pulls
    await using proxy = await FaultProxy.start({ targetPort: mesh.nats.port, filter: untilJobAck });
    const metricsPort = await freePort();
    await using victim = await startProcess({
      name: 'gateway',
      file: MAIN,
      env: gatewayEnv(`nats://127.0.0.1:${proxy.port}`, { GATEWAY_METRICS_PORT: String(metricsPort) }),
      readyUrl: `http://127.0.0.1:${metricsPort}/readyz`,
      readyTimeoutMs: 60_000,
    });
    const published = Promise.withResolvers<void>();
    mesh.bus.subscribe(jobsSubject('standard', 'mlp'), () => published.resolve());
    await send(mesh, 'mlp', { inputs: [x] });
    await published.promise;
    await victim.kill();
    assert.deepEqual([await events(mesh), await jobs(mesh)], [1, 1]);
    await using other = await startGatewayAt(mesh.nats.url);
    assert.ok(other.ports.http > 0);
    await until('the event is acknowledged by the other', async () => (await events(mesh)) === 0, 60_000);
    assert.equal(await jobs(mesh), 1);
  });

  test('an event that cannot become a job now is delayed as often as it takes, and never stranded', async () => {
    await using mesh = await startGatewayUnderTest({ models: [mlp] });
    const spec = STREAMS.find(({ name }) => name === JOBS_STREAM) as StreamSpec;
    await clientOf(mesh.bus).applyStream({ ...spec, maxBytes: 64 });
    await send(mesh, 'mlp', { inputs: [x] });
    const tooOften = async () => (await delayedOf(mesh, 'queue_bound')) > EVENTS_CONSUMER.maxDeliver;
    await until('it was handed back more often than max_deliver', tooOften, 60_000);
    await clientOf(mesh.bus).applyStream(spec);
    await until('the event is acknowledged', async () => (await events(mesh)) === 0);
    assert.equal(await jobs(mesh), 1);
  });

  test('features are joined before the job exists; what a draining gateway holds goes to another at once', async () => {
    await using mesh = await startGatewayUnderTest({ models: [joined] });
    await using features = await startFeaturePeer(mesh.nats.url);
    await send(mesh, 'joined', byId);
    const { fetch: first } = await features.next();
    assert.deepEqual([first.views, first.entities], [['profile'], ['7']]);
    assert.deepEqual([await jobs(mesh), await heldOf(mesh)], [0, 1]);
    const naks = `$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.${EVENTS_STREAM}.${EVENTS_CONSUMER.durable}`;
    let isHandedBack = false;
    mesh.bus.subscribe(naks, () => {
      isHandedBack = true;
    });
    await mesh.gateway.drain(300);
    await until('it is handed back: nobody waits for ack_wait', () => isHandedBack);
    await using other = await startGatewayAt(mesh.nats.url);
    assert.ok(other.ports.http > 0);
    (await features.next()).answer(rows);
    await until('the event is acknowledged', async () => (await events(mesh)) === 0);
    const job = (await lastOf(mesh.bus, JOBS_STREAM, jobsSubject('standard', 'joined'))) as Stored;
    const item = workFrameCodec.decode(job.payload).items[0];
    const tensors = decodeTensors(item?.tensors as Uint8Array);
    assert.deepEqual(
      tensors.map(({ name, shape, data }) => [name, shape, [...new Float32Array(Uint8Array.from(data).buffer)]]),
      [['p', [1, 2], [5, 6]]],
    );
  });

  test('while the feature-service is away events that need it are delayed, and others pass', async () => {
    await using mesh = await startGatewayUnderTest({ models: [mlp, joined] });
    await send(mesh, 'joined', byId);
    await send(mesh, 'mlp', { inputs: [x] });
    await until('the other event has passed', async () => (await jobs(mesh)) === 1);
    await until('the event was handed back', async () => (await delayedOf(mesh, 'features')) > 0);
    assert.equal(await events(mesh), 1);
    await using features = await startFeaturePeer(mesh.nats.url);
    void features.answerAll(rows); // the fetch of the delivery that was given up may come, too
    await until('the event is acknowledged', async () => (await events(mesh)) === 0);
    assert.equal(await jobs(mesh), 2);
  });
});
