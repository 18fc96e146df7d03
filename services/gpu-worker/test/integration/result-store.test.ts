import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectBus } from '@spillway/bus/connect';
import { readMessage } from '@spillway/bus/stream-messages';
import type { Job } from '@spillway/contracts/messages';
import { DLQ_STREAM, RESULTS_STREAM } from '@spillway/contracts/streams';
import { dlqSubject, resultSubject } from '@spillway/contracts/subjects';
import { startNatsServer } from '@spillway/testing/nats-server';
import { type JobOutcome, ResultStore } from '../../src/adapters/result-store.ts';

test('an answer that does not fit a message with its headers is an error as result: no repetition makes it smaller', async () => {
  await using nats = await startNatsServer();
  await using bus = await connectBus({ url: nats.url, service: 'gpu-worker', instance: 'gpu-worker-1' });
  const outcomes: JobOutcome[] = [];
  const store = new ResultStore(bus, { epochMs: () => 1_700_000_002_000 }, (_job, outcome) => outcomes.push(outcome));
  const ackSubject = '$JS.ACK.SPILLWAY_JOBS.batcher_bulk_mlp.2.30.4.1700000000000000000.0'; // stored two seconds before
  const job: Job = {
    tenant: 'acme',
    job: 'large',
    ackSubject,
    originSubject: 'from',
    traceparent: '',
    requestId: 'r-1',
  };
  const payload = Buffer.alloc(bus.maxPayload - 8, 0x20);
  const run = {
    batchId: 'b',
    model: 'mlp',
    version: '1',
    variant: '',
    closedBy: 'idle',
    rows: 1,
    worker: 'w',
    runMs: 500,
  };
  await store.settle({ job, payload, queueMs: 3, errorCode: '', errorMessage: '', errorReason: '' }, run);
  assert.deepEqual(outcomes, ['failed']);
  const result = await readMessage(bus, RESULTS_STREAM, { last: resultSubject('acme', 'large') });
  const error = JSON.parse(String(Buffer.from(result?.payload ?? []))).error;
  assert.deepEqual([error.code, error.reason], ['PAYLOAD_TOO_LARGE', 'max_payload']);
  assert.deepEqual(
    [
      'spillway-error',
      'spillway-rung',
      'spillway-queue-ms',
      'spillway-run-ms',
      'spillway-attempts',
      'x-request-id',
    ].map((name) => result?.headers[name]),
    ['PAYLOAD_TOO_LARGE', 'failed', '1500.000', '500.000', '2', 'r-1'],
  );
  const dead = await readMessage(bus, DLQ_STREAM, { last: dlqSubject('PAYLOAD_TOO_LARGE') });
  assert.equal(dead?.headers['spillway-letter'], 'none', 'its frame was not in the stream');
});
