import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { type HealthOptions, serveHealth } from '../src/health.ts';
import { StateMachine } from '../src/states.ts';

async function started(overrides: Partial<HealthOptions> = {}) {
  const state = new StateMachine();
  const metrics = async () => ({ contentType: 'text/plain; version=0.0.4', body: 'up 1\n' });
  const server = await serveHealth({ host: '127.0.0.1', port: 0, metrics, state, ...overrides });
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init);
  return { state, server, get, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test('a starting service is live, not ready, and says what it waits for', async () => {
  await using health = await started({ waitingFor: () => ['nats', 'models'] });
  assert.equal((await health.get('/livez')).status, 200);
  const ready = await health.get('/readyz');
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { state: 'starting', waiting_for: ['nats', 'models'] });
});

test('only a ready service is ready; a failed one asks to be restarted', async () => {
  await using health = await started();
  const statuses: [string, number, number][] = [];
  const look = async () => {
    const [live, ready] = await Promise.all([health.get('/livez'), health.get('/readyz')]);
    statuses.push([health.state.get(), live.status, ready.status]);
  };
  health.state.set('ready');
  await look();
  health.state.set('draining');
  await look();
  health.state.set('failed');
  await look();
  assert.deepEqual(statuses, [
    ['ready', 200, 200],
    ['draining', 200, 503],
    ['failed', 503, 503],
  ]);
});

test('metrics are the registry page with its content type', async () => {
  await using health = await started();
  const page = await health.get('/metrics?name=x');
  assert.equal(page.headers.get('content-type'), 'text/plain; version=0.0.4');
  assert.equal(await page.text(), 'up 1\n');
});

test('a registry that fails is a 500 without its text, and the server goes on', async () => {
  await using health = await started({ metrics: () => Promise.reject(new Error('secret')) });
  const page = await health.get('/metrics');
  assert.equal(page.status, 500);
  assert.doesNotMatch(await page.text(), /secret/);
  assert.equal((await health.get('/livez')).status, 200);
});

test('another path is 404, another method 405 with what is allowed', async () => {
  await using health = await started();
  assert.equal((await health.get('/')).status, 404);
  const post = await health.get('/livez', { method: 'POST' });
  assert.equal(post.status, 405);
  assert.equal(post.headers.get('allow'), 'GET, HEAD');
});

test('a port in use is the error of the listen call', async () => {
  await using health = await started();
  await assert.rejects(started({ port: health.server.port }), { code: 'EADDRINUSE' });
});

test('closing ends idle connections too', async () => {
  const health = await started();
  const socket = connect(health.server.port, '127.0.0.1');
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  await health.server[Symbol.asyncDispose]();
  await closed;
});
