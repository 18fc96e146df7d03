import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ModelRecord } from '@spillway/contracts/buckets';
import { replyFrameCodec, tensorsCodec, workFrameCodec } from '@spillway/contracts/messages';
import { DATA_TYPES } from '@spillway/contracts/tensor';
import { type Clock, wallClock } from '@spillway/lifecycle/clock';
import { RequestIds } from '@spillway/lifecycle/ids';
import { createLogger } from '@spillway/telemetry/logger';
import { createMetrics } from '@spillway/telemetry/metrics';
import { Admission } from '../core/admission/admission.ts';
import { KeyRing } from '../core/identity.ts';
import { ModelStatistics } from '../core/model-statistics.ts';
import { Pipeline } from '../core/pipeline.ts';
import { observeRequests } from '../telemetry.ts';
import { OIP } from './http-dialect.ts';
import { InferRoute } from './http-infer.ts';

const COLUMNS = 32;
const CONNECTIONS = 16;
const MODEL: ModelRecord = {
  model: 'rehearsal',
  versions: ['1'],
  platform: 'none',
  backend: 'none',
  maxBatchSize: 32,
  inputs: [{ name: 'x', datatype: 'FP32', dims: [COLUMNS] }],
  outputs: [{ name: 'y', datatype: 'FP32', dims: [1] }],
  defaultDeadlineMs: 60_000,
  maxDeadlineMs: 60_000,
  runLimitMs: 1_000,
  costRule: 'rows',
  provider: 'none',
};
const BODY = JSON.stringify({
  inputs: [
    { name: 'x', datatype: 'FP32', shape: [1, COLUMNS], data: Array.from({ length: COLUMNS }, (_, n) => n / 7) },
  ],
});
const ANSWER = tensorsCodec.encode({
  tensors: [{ name: 'y', datatype: DATA_TYPES.FP32.id, shape: [1, 1], data: new Uint8Array(4) }],
});

/** A pipeline of its own, with an admission that lets no bulk in, that answers what it sends by itself. */
function pipelineOf(clock: Clock, admission: Admission): Pipeline {
  const answer = (): void => {
    for (const frame of pipeline.flush()) {
      const sent = { gateway: '', replyTo: '', sentMs: 0, ...frame };
      const { items } = workFrameCodec.decode(workFrameCodec.encode(sent));
      const reply = {
        worker: MODEL.model,
        batchId: '1',
        model: MODEL.model,
        version: '1',
        variant: '',
        batchRows: items.length,
        runMs: 1,
        closedBy: 'full',
        items: items.map(({ seq }) => ({
          seq,
          errorCode: '',
          errorMessage: '',
          errorReason: '',
          tensors: ANSWER,
          queueMs: 1,
        })),
      };
      pipeline.onReply(replyFrameCodec.decode(replyFrameCodec.encode(reply)));
    }
  };
  const pipeline: Pipeline = new Pipeline(
    {
      clock,
      model: () => MODEL,
      admission,
      statistics: new ModelStatistics(),
      cacheGet: (_lookup, found) => found(undefined),
      cachePut: () => undefined,
      fetchFeatures: () => undefined,
      flushSoon: () => void setImmediate(answer),
      cancelled: () => undefined,
    },
    { maxInFlight: 1_000, maxFrameBytes: 64 * 1024 },
  );
  return pipeline;
}

/**
 * Answers and refuses requests of a model that does not exist, over loopback and apart from everything that is served, so that the
 * engine has compiled this path before the first caller comes: a process that meets a flood cold spends several times as long on
 * each request and falls behind. Resolves when all were answered or their connections broke; rejects when loopback gives no port.
 */
export async function rehearse(requests: number, clock: Clock): Promise<void> {
  if (requests === 0) return;
  const everything = Number.POSITIVE_INFINITY;
  const settings = { doorRate: [everything, everything, 1] };
  const admission = new Admission({ instance: MODEL.model, random: Math.random, nowMs: clock.now(), settings });
  admission.setModel(MODEL);
  const log = createLogger({ service: 'gateway', instance: MODEL.model, level: 'fatal' });
  const observer = observeRequests({
    clock,
    log,
    metrics: createMetrics('gateway'),
    tracesPerSecond: 0,
    traceRatio: 0,
    isModel: () => true,
    effects: { traceDivisor: Number.POSITIVE_INFINITY, quietLogs: true },
  });
  const infer = new InferRoute(
    {
      clock,
      ids: new RequestIds(),
      keys: new KeyRing([], { allowAnonymous: true, epochMs: wallClock.epochMs }),
      pipeline: pipelineOf(clock, admission),
      admission,
      observer,
      maxBodyBytes: 64 * 1024,
    },
    OIP,
  );
  const server = createServer((req, res) => infer.handle(req, res, { model: MODEL.model, version: '' }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const { port } = server.address() as AddressInfo;
  let left = requests;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await call(port, agent, left % 2 === 0 ? 'standard' : 'bulk');
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, caller));
  agent.destroy();
  server.close();
}

/** Resolves when the answer, whatever it is, has been read, or the connection broke. */
function call(port: number, agent: Agent, trafficClass: string): Promise<void> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'spillway-class': trafficClass };
    const outgoing = request({ port, agent, headers, host: '127.0.0.1', method: 'POST', path: '/' }, (response) => {
      response.resume();
      response.once('close', resolve);
    });
    outgoing.once('error', () => resolve());
    outgoing.end(BODY);
  });
}
