import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import type { Mesh } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { trafficBeside } from '../support/beside.ts';
import { casesOf, oipRequest } from '../support/cases.ts';
import { checkAlways, tellSlow, wasCrowdedOut } from '../support/checker.ts';
import { call, type HttpReply, headerOf } from '../support/infer.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { isGood, type SteadyLoad, tell } from '../support/steady-load.ts';

/** How long those beside may be kept waiting by a caller who does something wrong. */
const DISTURBED_MS = 2_000;

/** Nothing that one caller does wrong may disturb another: good traffic runs beside every test of this file. */
let mesh: Mesh;
let balancer: Balancer;
let beside: SteadyLoad;
before(async () => {
  mesh = await startSeededMesh({ serves: ['mlp', 'simple', 'identity'] });
  balancer = await Balancer.start(mesh.of('gateway'));
  beside = trafficBeside(mesh, balancer);
});
after(async () => {
  await beside?.stop();
  await balancer?.[Symbol.asyncDispose]();
  await mesh?.[Symbol.asyncDispose]();
});

const address = (): string => mesh.url.slice('http://'.length);
const MLP = '/v2/models/mlp/infer';
const good = oipRequest(casesOf('mlp')[0]!);
const withInput = (changes: Record<string, unknown>): string =>
  JSON.stringify({ inputs: [{ ...good.inputs[0], ...changes }] });
const send = (body: string | Buffer, more: { path?: string; headers?: Record<string, string> } = {}) =>
  call({ address: address(), path: MLP, body, ...more });

type Rule = {
  what: string;
  ask: () => Promise<HttpReply>;
  status: number;
  code: string;
  /** The message names the field. */
  names: RegExp;
};

const rules: Rule[] = [
  {
    what: 'a wrong datatype',
    ask: () => send(withInput({ datatype: 'INT32', data: Array(64).fill(1) })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /"x".*FP32.*INT32/,
  },
  {
    what: 'an unknown datatype',
    ask: () => send(withInput({ datatype: 'FP33' })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /datatype.*FP33/,
  },
  {
    what: 'a wrong shape',
    ask: () => send(withInput({ shape: [1, 63], data: Array(63).fill(0) })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /"x".*shape.*\[1,\s?63\]/,
  },
  {
    what: 'fewer numbers than the shape says',
    ask: () => send(withInput({ data: [1, 2, 3] })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /data: expected 64 elements.*3/,
  },
  {
    what: 'a text among the numbers',
    ask: () => send(withInput({ data: [...Array(63).fill(0), 'x'] })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /data\[63\]/,
  },
  {
    what: 'a number that FP32 cannot hold',
    ask: () => send(withInput({ data: [...Array(63).fill(0), 1e300] })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /data\[63\].*FP32/,
  },
  {
    what: 'more rows than a batch may have',
    ask: () => send(withInput({ shape: [65, 64], data: Array(65 * 64).fill(0) })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /64 rows.*65/,
  },
  {
    what: 'a negative dimension',
    ask: () => send(withInput({ shape: [-1, 64] })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /shape/,
  },
  {
    what: 'a huge dimension',
    ask: () => send(withInput({ shape: [2 ** 40, 2 ** 40] })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /shape|elements/,
  },
  {
    what: 'an input that the model does not have',
    ask: () => send(withInput({ name: 'z' })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /"x"|"z"/,
  },
  {
    what: 'an output that the model does not have',
    ask: () => send(JSON.stringify({ ...good, outputs: [{ name: 'z' }] })),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /outputs.*"z"/,
  },
  {
    what: 'no inputs',
    ask: () => send('{"inputs":[]}'),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /input/,
  },
  { what: 'bad JSON', ask: () => send('{"inputs":['), status: 400, code: 'INVALID_REQUEST', names: /JSON/ },
  { what: 'an empty body', ask: () => send(''), status: 400, code: 'INVALID_REQUEST', names: /body/ },
  {
    what: 'bytes that are no text',
    ask: () => send(Buffer.from([0xff, 0xfe, 0])),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /body/,
  },
  {
    what: 'JSON nested a hundred thousand deep',
    ask: () => send(`{"inputs":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /body|inputs|nest/,
  },
  {
    what: 'an unknown model',
    ask: () => send(JSON.stringify(good), { path: '/v2/models/nothing/infer' }),
    status: 404,
    code: 'MODEL_NOT_FOUND',
    names: /nothing|model/,
  },
  {
    what: 'a model name that is a wildcard of NATS',
    ask: () => send(JSON.stringify(good), { path: '/v2/models/%3E/infer' }),
    status: 404,
    code: 'MODEL_NOT_FOUND',
    names: /model/,
  },
  {
    what: 'an unknown version',
    ask: () => send(JSON.stringify(good), { path: '/v2/models/mlp/versions/99/infer' }),
    status: 404,
    code: 'MODEL_NOT_FOUND',
    names: /99|version/,
  },
  {
    what: 'a bad key',
    ask: () => send(JSON.stringify(good), { headers: { authorization: `Bearer sk_vip_${'x'.repeat(43)}` } }),
    status: 401,
    code: 'UNAUTHENTICATED',
    names: /authorization/,
  },
  {
    what: 'a deadline that has passed',
    ask: () => send(JSON.stringify(good), { headers: { 'spillway-timeout-ms': '0' } }),
    status: 504,
    code: 'DEADLINE_EXCEEDED',
    names: /deadline|time/i,
  },
  {
    what: 'a deadline that is no number',
    ask: () => send(JSON.stringify(good), { headers: { 'spillway-timeout-ms': 'soon' } }),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /spillway-timeout-ms/,
  },
  {
    what: 'a class that does not exist',
    ask: () => send(JSON.stringify(good), { headers: { 'spillway-class': 'royal' } }),
    status: 400,
    code: 'INVALID_REQUEST',
    names: /spillway-class/,
  },
  {
    what: 'a body above the limit',
    ask: () => send(Buffer.alloc(5 * 1024 * 1024, 0x20)),
    status: 413,
    code: 'PAYLOAD_TOO_LARGE',
    names: /4194304|4 MiB|bytes/,
  },
  {
    what: 'another method',
    ask: () => call({ address: address(), path: MLP, method: 'DELETE' }),
    status: 405,
    code: 'METHOD_NOT_ALLOWED',
    names: /./,
  },
  {
    what: 'an address where nothing is',
    ask: () => call({ address: address(), path: '/v3/anything', method: 'GET' }),
    status: 404,
    code: 'NOT_FOUND',
    names: /./,
  },
];

for (const { what, ask, status, code, names } of rules) {
  test(`${what} is answered ${status} ${code}, naming what is wrong`, async () => {
    const reply = await ask();
    assert.equal(reply.status, status, `${reply.error} ${reply.text}`);
    assert.equal(headerOf(reply, 'spillway-error'), code);
    const { error } = JSON.parse(reply.text) as { error: string };
    assert.match(error, names);
    assert.doesNotMatch(error, /\.ts|node_modules|\n\s+at |127\.0\.0\.1/, 'neither stack, path nor peer');
  });
}

/** Long after every limit of the door. */
const HUNG_MS = 120_000;

/** Writes raw bytes and resolves with what came back when the server closes the connection. */
function untilClosed(bytes: string, drip?: { text: string; everyMs: number }): Promise<string> {
  const [host, port] = address().split(':');
  const socket = connect({ host: host as string, port: Number(port) });
  let text = '';
  let timer: NodeJS.Timeout | undefined;
  socket.on('data', (data) => {
    text += data.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.write(bytes);
  // After what has come meanwhile is read: a write to a connection that the server has closed would lose it.
  if (drip) timer = setInterval(() => setImmediate(() => void (text === '' && socket.write(drip.text))), drip.everyMs);
  return new Promise((resolve) => {
    socket.once('close', () => {
      clearInterval(timer);
      resolve(text);
    });
  });
}

test('a body without end is cut off at the limit', { timeout: HUNG_MS }, async () => {
  const piece = 'x'.repeat(64 * 1024);
  const chunk = `10000\r\n${piece}\r\n`;
  const head = `POST ${MLP} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`;
  const text = await untilClosed(head, { text: chunk.repeat(8), everyMs: 20 });
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.match(text, /spillway-error: PAYLOAD_TOO_LARGE/i);
});

test('headers that drip in without end are answered 408 and closed', { timeout: HUNG_MS }, async () => {
  const text = await untilClosed(`POST ${MLP} HTTP/1.1\r\n`, { text: 'x-a: b\r\n', everyMs: 500 });
  assert.match(text, /^HTTP\/1\.1 408 /);
});

test('headers larger than the limit are refused', async () => {
  const text = await untilClosed(`GET /v2 HTTP/1.1\r\nhost: x\r\nx-big: ${'a'.repeat(40_000)}\r\n\r\n`);
  assert.match(text, /^HTTP\/1\.1 431 /);
});

test('two lengths in one request are refused: another server might read another one', async () => {
  const text = await untilClosed(
    `POST ${MLP} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  );
  assert.match(text, /^HTTP\/1\.1 400 /);
});

test('nothing of all this disturbed the callers beside it', async () => {
  const history = await beside.stop();
  checkAlways(history);
  assert.equal(tell(history.filter((op) => !isGood(op) && !wasCrowdedOut(op))), '');
  assert.equal(tellSlow(history, DISTURBED_MS), '');
  assert.ok(history.length > 300, `${history.length} requests beside`);
});
