import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { SpillwayClient, type SpillwayClientError, type WaitOptions } from '@spillway/client';

/** Takes connections and says nothing, as a host does that hangs. */
let server: Server;
const sockets = new Set<Socket>();
before(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

const X = { x: { data: new Float32Array(1), shape: [1] } };
const CALLS: Record<string, (client: SpillwayClient, options: WaitOptions) => Promise<unknown>> = {
  infer: (client, options) => client.infer('m', X, options),
  'infer that needs metadata': (client, options) => client.infer('m', { x: [1] }, options),
  model: (client, options) => client.model('m', options),
  models: (client, options) => client.models(options),
  ready: (client, options) => client.ready(options),
  submit: (client, options) => client.submit('m', X, options),
  'jobs.submitAll': (client, options) => Array.fromAsync(client.jobs.submitAll([{ model: 'm', inputs: X }], options)),
  'jobs.list': (client, options) => client.jobs.list(options),
  'jobs.get': (client, options) => client.jobs.get('j', options),
};

for (const door of ['http', 'grpc'] as const) {
  const calls = Object.entries(CALLS).filter(([name]) => door === 'http' || !/jobs|submit/.test(name));
  for (const [name, call] of calls) {
    test(`${name} over ${door} ends at its deadline, and by its signal, where nothing ever comes`, async () => {
      const url = `${door}://127.0.0.1:${(server.address() as AddressInfo).port}`;
      await using client = new SpillwayClient({ url, retry: false });
      await assert.rejects(call(client, { timeoutMs: 20 }), { code: 'DEADLINE_EXCEEDED', reason: 'client_deadline' });
      const leaving = new AbortController();
      const ended = call(client, { signal: leaving.signal });
      setImmediate(() => leaving.abort('gone'));
      await assert.rejects(ended, (error: SpillwayClientError) => error.code === 'CANCELLED' && error.cause === 'gone');
    });
  }
}
