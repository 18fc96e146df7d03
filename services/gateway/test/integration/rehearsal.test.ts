import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startNatsServer } from '@spillway/testing/nats-server';
import { startGatewayAt } from './gateway-under-test.ts';

test('what a gateway rehearses before it is ready is not counted as traffic', async () => {
  await using nats = await startNatsServer();
  await using gateway = await startGatewayAt(nats.url, { GATEWAY_REHEARSAL_REQUESTS: '200' });
  const { http, metrics } = gateway.ports;
  const counted = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    const counts = text.matchAll(/^spillway_request_duration_seconds_count(?:\{.*\})? (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  assert.equal(await counted(), 0);
  const url = `http://127.0.0.1:${http}/v2/models/rehearsal/infer`;
  const answer = await fetch(url, { method: 'POST', body: '{"inputs":[]}' });
  assert.equal(answer.status, 404, 'its model is not served');
  assert.equal(await counted(), 1);
});
