import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startOtlpReceiver } from '../../src/traces/otlp-receiver.ts';
import { openTraceStore } from '../../src/traces/trace-store.ts';

const TRACE_ID = '5b8efff798038103d269b633813fc60c';

/** The example of OTLP's JSON encoding, with one span more and values of each kind. */
const EXPORT = {
  resourceSpans: [
    {
      resource: {
        attributes: [
          { key: 'service.name', value: { stringValue: 'gateway' } },
          { key: 'service.instance.id', value: { stringValue: 'gateway-1' } },
          { key: 'process.pid', value: { intValue: '4711' } },
        ],
      },
      scopeSpans: [
        {
          scope: { name: 'my.library', version: '1.0.0' },
          spans: [
            {
              traceId: TRACE_ID.toUpperCase(),
              spanId: 'EEE19B7EC3C1B174',
              parentSpanId: 'EEE19B7EC3C1B173',
              name: 'request',
              startTimeUnixNano: '1544712660000000250',
              endTimeUnixNano: '1544712660012400250',
              kind: 2,
              attributes: [
                { key: 'spillway.request.id', value: { stringValue: 'req-1' } },
                { key: 'rows', value: { intValue: '3' } },
                { key: 'ratio', value: { doubleValue: 0.5 } },
                { key: 'hit', value: { boolValue: false } },
                { key: 'names', value: { arrayValue: { values: [{ stringValue: 'a' }, { stringValue: 'b' }] } } },
                { key: 'map', value: { kvlistValue: { values: [] } } },
                { key: '__proto__', value: { stringValue: 'polluted' } },
              ],
              links: [{ traceId: 'f'.repeat(32), spanId: 'e'.repeat(16) }],
              status: { code: 2, message: 'refused' },
              unknownField: {},
            },
            { traceId: '00', spanId: 'EEE19B7EC3C1B175', name: 'no trace', startTimeUnixNano: 1, endTimeUnixNano: 2 },
            {
              traceId: TRACE_ID,
              spanId: 'EEE19B7EC3C1B176',
              name: 'backwards',
              startTimeUnixNano: 2,
              endTimeUnixNano: 1,
            },
            {
              traceId: TRACE_ID,
              spanId: 'EEE19B7EC3C1B177',
              name: 'no time',
              startTimeUnixNano: 'never',
              endTimeUnixNano: -1,
            },
          ],
        },
      ],
    },
  ],
};

async function receiver(limits: { maxBodyBytes?: number; maxDecodedBytes?: number } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-otlp-'));
  const store = await openTraceStore(join(dir, 'traces'));
  const server = await startOtlpReceiver({ store, ...limits });
  return {
    store,
    url: server.url,
    port: server.port,
    post: (body: string | Buffer, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
      fetch(`${server.url}/v1/traces`, { method: 'POST', headers, body: Buffer.from(body) }),
    get: (path: string) => fetch(server.url + path),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

test('spans in JSON are taken with times, attributes, links and failure; invalid ones are counted', async () => {
  await using at = await receiver();
  const response = await at.post(JSON.stringify(EXPORT).replace('"never"', '1e999'));
  assert.equal(response.status, 200);
  assert.equal(
    ((await response.json()) as { partialSuccess: { rejectedSpans: string } }).partialSuccess.rejectedSpans,
    '3',
  );

  const found = at.store.find(TRACE_ID);
  assert.equal(found.kind, 'trace');
  const [span] = found.kind === 'trace' ? found.trace.spans : [];
  assert.deepEqual(
    { ...span, attributes: { ...span?.attributes } },
    {
      traceId: TRACE_ID,
      spanId: 'eee19b7ec3c1b174',
      parentSpanId: 'eee19b7ec3c1b173',
      name: 'request',
      kind: 'server',
      service: 'gateway',
      instance: 'gateway-1',
      pid: 4711,
      startMs: 1_544_712_660_000.000_2,
      durationMs: 12.4,
      attributes: Object.fromEntries<unknown>([
        ['spillway.request.id', 'req-1'],
        ['rows', 3],
        ['ratio', 0.5],
        ['hit', false],
        ['names', ['a', 'b']],
        ['__proto__', 'polluted'],
      ]),
      links: [{ traceId: 'f'.repeat(32), spanId: 'e'.repeat(16) }],
      error: { code: 'ERROR', message: 'refused' },
    },
  );
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
});

test('a gzip body is unpacked', async () => {
  await using at = await receiver();
  const headers = { 'content-type': 'application/json; charset=utf-8', 'content-encoding': 'gzip' };
  const response = await at.post(gzipSync(JSON.stringify(EXPORT)), headers);
  assert.equal(response.status, 200);
  assert.equal(at.store.find('req-1').kind, 'trace');
});

test('limits hold for the body as it comes and unpacked, with or without its length in the header', async () => {
  await using at = await receiver({ maxBodyBytes: 10_000, maxDecodedBytes: 50_000 });
  assert.equal((await at.post('x'.repeat(10_001))).status, 413);
  const bomb = gzipSync(Buffer.alloc(1_000_000));
  assert.ok(bomb.length < 10_000);
  const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' };
  assert.equal((await at.post(bomb, headers)).status, 413);

  const chunked = httpRequest(`${at.url}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  chunked.on('response', (response) => resolve(response.statusCode)).on('error', reject);
  chunked.write('x'.repeat(20_000));
  assert.equal(await promise, 413, 'answered before the body has ended');
  chunked.destroy();
});

test('what is no export is refused with a status and a reason in the type that was sent', async () => {
  await using at = await receiver();
  const cases: [string | Buffer, Record<string, string>, number][] = [
    ['{', { 'content-type': 'application/json' }, 400],
    ['[]', { 'content-type': 'application/json' }, 400],
    [Buffer.from([0xff, 0xff, 0xff]), { 'content-type': 'application/x-protobuf' }, 400],
    ['{}', { 'content-type': 'text/plain' }, 415],
    ['{}', { 'content-type': 'application/json', 'content-encoding': 'br' }, 415],
    ['{}', { 'content-type': 'application/json', 'content-encoding': 'gzip' }, 400],
  ];
  for (const [body, headers, status] of cases) {
    const response = await at.post(body, headers);
    assert.equal(response.status, status, JSON.stringify(headers));
    const expected =
      headers['content-type'] === 'application/x-protobuf' ? 'application/x-protobuf' : 'application/json';
    assert.equal(response.headers.get('content-type'), expected);
  }
  for (const body of ['{}', '{"resourceSpans":[null,{"scopeSpans":[{"spans":[7]}]}]}'])
    assert.equal((await at.post(body)).status, 200, body);
  assert.equal(at.store.list(10).length, 0);
});

test('random bytes never break the receiver', async () => {
  await using at = await receiver();
  let seed = 42;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed;
  };
  for (let round = 0; round < 200; round += 1) {
    const body = Buffer.from(Array.from({ length: random() % 200 }, () => (random() >> 8) % 256));
    const { status } = await at.post(body, { 'content-type': 'application/x-protobuf' });
    assert.ok(status === 200 || status === 400, `${status} for ${body.toString('hex')}`);
  }
});

test('traces are listed and read by id, prefix and request id', async () => {
  await using at = await receiver();
  await at.post(JSON.stringify(EXPORT));
  const { traces } = (await (await at.get('/traces?limit=5')).json()) as { traces: { requestId: string }[] };
  assert.deepEqual(
    traces.map((trace) => trace.requestId),
    ['req-1'],
  );
  for (const id of [TRACE_ID, '5b8e', 'req-1', 'req%2D1']) {
    const trace = (await (await at.get(`/traces/${id}`)).json()) as { traceId: string };
    assert.equal(trace.traceId, TRACE_ID, id);
  }
});

test('an ambiguous prefix answers with the ids it could mean', async () => {
  await using at = await receiver();
  const other = TRACE_ID.replace(/c$/, 'd');
  await at.post(JSON.stringify(EXPORT));
  await at.post(JSON.stringify(EXPORT).replaceAll(TRACE_ID.toUpperCase(), other));
  const response = await at.get('/traces/5b8e');
  assert.equal(response.status, 409);
  assert.deepEqual(((await response.json()) as { traceIds: string[] }).traceIds, [TRACE_ID, other]);
});

test('unknown ids, paths, methods and limits are refused', async () => {
  await using at = await receiver();
  const statuses = Object.fromEntries(
    await Promise.all(
      ['/traces/abcd', '/traces/%', '/', '/v1/logs', '/traces?limit=0', '/traces?limit=x', '/v1/traces'].map(
        async (path) => [path, (await at.get(path)).status] as const,
      ),
    ),
  );
  assert.deepEqual(statuses, {
    '/traces/abcd': 404,
    '/traces/%': 400,
    '/': 404,
    '/v1/logs': 404,
    '/traces?limit=0': 400,
    '/traces?limit=x': 400,
    '/v1/traces': 405,
  });
});

test('a page that reaches loopback under a name of its own is refused', async () => {
  await using at = await receiver();
  const request = httpRequest(`${at.url}/traces`, { headers: { host: `evil.example:${at.port}` } }).end();
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  request.on('response', (response) => {
    resolve(response.statusCode);
    response.resume();
  });
  assert.equal(await promise, 403);
});

test('a sender that leaves half-way, or sends no HTTP, disturbs nobody', async () => {
  await using at = await receiver();
  const half = connect(at.port, '127.0.0.1');
  half.write(
    'POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{',
  );
  half.write('', () => half.destroy());
  const noise = connect(at.port, '127.0.0.1');
  noise.write('\u0000\u0001\u0002\r\n\r\n');
  assert.match(await text(noise), /400 Bad Request/);
  assert.equal((await at.post(JSON.stringify(EXPORT))).status, 200);
});
