import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startGatewayUnderTest } from './gateway-under-test.ts';

const SENT_EVERY_MS = 20;
/** For longer than a balancer is given to notice, in requests. */
const SENT_AFTER_STOP = 40;

test('callers that have not noticed a drain are answered, each for the last time on its connection', async () => {
  await using mesh = await startGatewayUnderTest({ models: [] });
  const { ports } = mesh.gateway;
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  /** Of the answer: its status and its `connection` header. */
  const ask = () =>
    new Promise<string>((resolve) => {
      const options = { agent, port: ports.http, method: 'POST', path: '/v2/models/none/infer' };
      const sent = request(options, (answer) => {
        answer.resume().on('end', () => resolve(`${answer.statusCode} ${answer.headers.connection}`));
      });
      sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      sent.end(JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }));
    });
  try {
    const before = await Promise.all(Array.from({ length: 4 }, ask));
    assert.deepEqual(new Set(before), new Set(['404 keep-alive']));
    let ended = false;
    const drained = mesh.gateway.drain(60_000).then(() => {
      ended = true;
    });
    const after: string[] = [];
    for (let n = 0; n < SENT_AFTER_STOP; n += 1) {
      after.push(await ask());
      await delay(SENT_EVERY_MS);
    }
    assert.deepEqual(new Set(after), new Set(['404 close']));
    assert.equal(ended, false, 'while requests come it is there');
    await drained; // and without them it ends
    assert.equal(await ask(), 'ECONNREFUSED');
  } finally {
    agent.destroy();
  }
});
