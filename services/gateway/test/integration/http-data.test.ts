import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { after, before, test } from 'node:test';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { connectBus } from '@spillway/bus/connect';
import type { ModelRecord } from '@spillway/contracts/buckets';
import type { Tensor } from '@spillway/contracts/messages';
import { until } from '@spillway/testing/until';
import { mlp } from '../unit/fixtures.ts';
import { type GatewayUnderTest, startGatewayUnderTest } from './gateway-under-test.ts';
import { PlayedWorker } from './played-worker.ts';

/** Gives back what it is given, in whatever datatype and size. */
const echo: ModelRecord = {
  ...mlp,
  model: 'echo',
  versions: ['1'],
  maxBatchSize: 8,
  inputs: [{ name: 'x', datatype: 'FP32', dims: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32', dims: [-1] }],
};
const half: ModelRecord = {
  ...echo,
  model: 'half',
  inputs: [{ name: 'x', datatype: 'FP16', dims: [2] }],
  outputs: [{ name: 'y', datatype: 'FP16', dims: [2] }],
};
const LIMIT = 64 * 1024;

let mesh: GatewayUnderTest;
const open = new AsyncDisposableStack();
before(async () => {
  mesh = open.use(
    await startGatewayUnderTest({ models: [echo, half], env: { GATEWAY_MAX_BODY_BYTES: String(LIMIT) } }),
  );
  for (const model of [echo, half]) {
    const bus = open.use(
      await connectBus({ url: mesh.nats.url, service: 'gpu-worker', instance: `worker-${model.model}` }),
    );
    open.use(new PlayedWorker(bus, model, ({ inputs }) => [{ ...(inputs[0] as Tensor), name: 'y' }]));
    const ready = async () => (await ask({ method: 'GET', path: `/v2/models/${model.model}/ready` })).status === 200;
    await until(`${model.model} is ready`, ready);
  }
});
after(() => open.disposeAsync());

type Ask = { path?: string; method?: string; body?: Buffer | string; headers?: Record<string, string> };
type Said = { status: number; headers: IncomingHttpHeaders; body: Buffer };

/** As the bytes are: fetch would decode them. */
const ask = ({ path = '/v2/models/echo/infer', method = 'POST', body = '', headers = {} }: Ask): Promise<Said> =>
  new Promise((resolve, reject) => {
    const { http: port } = mesh.gateway.ports;
    const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
type Json = {
  parameters?: Record<string, string>;
  spillway?: Record<string, string>;
  outputs?: unknown;
  error?: unknown;
};
const json = ({ body }: Said): Json => JSON.parse(body.toString()) as Json;
const oip = (x: number[], more: object = {}): string =>
  JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, x.length], data: x }], ...more });
const floats = (bytes: Uint8Array): number[] => [...new Float32Array(Uint8Array.from(bytes).buffer)];

test('the raw form: bytes in, bytes out', async () => {
  const bytes = Buffer.from(Float32Array.of(1.5, -2, 3).buffer);
  const said = await ask({ body: bytes, headers: { 'inference-header-content-length': '0' } });
  assert.equal(said.status, 200, said.body.toString());
  const at = Number(said.headers['inference-header-content-length']);
  assert.deepEqual(floats(said.body.subarray(at)), [1.5, -2, 3]);
  const odd = await ask({ body: bytes.subarray(1), headers: { 'inference-header-content-length': '0' } });
  assert.equal(odd.status, 400);
});

test('FP16 goes through as bytes, and in JSON the answer says how to get it', async () => {
  const input = { name: 'x', datatype: 'FP16', shape: [1, 2], parameters: { binary_data_size: 4 } };
  const send = (parameters: object) => {
    const head = Buffer.from(JSON.stringify({ inputs: [input], parameters }));
    const headers = { 'inference-header-content-length': String(head.length) };
    return ask({ path: '/v2/models/half/infer', body: Buffer.concat([head, Buffer.from([1, 2, 3, 4])]), headers });
  };
  const binary = await send({ binary_data_output: true });
  assert.deepEqual([...binary.body.subarray(-4)], [1, 2, 3, 4]);
  const text = await send({});
  assert.deepEqual([text.status, text.headers['spillway-error']], [501, 'UNSUPPORTED']);
  assert.match(text.body.toString(), /ask for it as a binary tensor/);
});

test('an empty tensor is a tensor', async () => {
  const said = await ask({ body: oip([]) });
  assert.deepEqual(json(said).outputs, [{ name: 'y', datatype: 'FP32', shape: [1, 0], data: [] }]);
});

test('bodies may be compressed with gzip or deflate; the length of the JSON part is that of the decoded one', async () => {
  const head = Buffer.from(
    JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], parameters: { binary_data_size: 4 } }] }),
  );
  const body = Buffer.concat([head, Buffer.from(Float32Array.of(7).buffer)]);
  const length = { 'inference-header-content-length': String(head.length) };
  for (const [encoding, bytes] of [
    ['gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['GZip', gzipSync(body)],
  ] as const) {
    const said = await ask({ body: bytes, headers: { ...length, 'content-encoding': encoding } });
    assert.equal(said.status, 200, said.body.toString());
    assert.match(said.body.toString(), /"data":\[7\]/);
  }
});

test('a body that grows beyond the limit when decoded is refused, as is one that is not what it says', async () => {
  const bomb = gzipSync(Buffer.alloc(200 * LIMIT));
  assert.ok(bomb.length < LIMIT);
  const large = await ask({ body: bomb, headers: { 'content-encoding': 'gzip' } });
  assert.deepEqual([large.status, large.headers['spillway-reason']], [413, 'max_body_bytes']);
  assert.match(large.body.toString(), /at most 65536 bytes decoded/);
  for (const body of [Buffer.from('{}'), gzipSync(oip([1])).subarray(0, -9), Buffer.alloc(0)]) {
    const broken = await ask({ body, headers: { 'content-encoding': 'gzip' } });
    assert.deepEqual([broken.status, broken.headers['spillway-error']], [400, 'INVALID_REQUEST']);
    assert.match(broken.body.toString(), /expected gzip, as its content-encoding says/);
  }
});

test('many compressed bodies at once are all answered, in whatever mixture', async () => {
  const bomb = gzipSync(Buffer.alloc(200 * LIMIT));
  const headers = { 'content-encoding': 'gzip' };
  const bodies = Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? bomb : gzipSync(oip([n]))));
  const said = await Promise.all(bodies.map((body) => ask({ body, headers })));
  assert.deepEqual(
    said.map(({ status }) => status),
    bodies.map((body) => (body === bomb ? 413 : 200)),
  );
});

test('another encoding is refused with what is accepted', async () => {
  for (const encoding of ['br', 'gzip, gzip', 'constructor']) {
    const said = await ask({ body: oip([1]), headers: { 'content-encoding': encoding } });
    assert.deepEqual([said.status, said.headers['accept-encoding']], [400, 'gzip, deflate']);
    assert.match(said.body.toString(), /content-encoding: expected gzip, deflate or none/);
  }
});

test('a large answer is compressed for who asks, a small one never', async () => {
  const many = Array.from({ length: 1_000 }, (_, n) => n / 4);
  const plain = await ask({ body: oip(many) });
  assert.equal(plain.headers['content-encoding'], undefined);
  for (const [encoding, decode] of [
    ['gzip', gunzipSync],
    ['deflate', inflateSync],
  ] as const) {
    const said = await ask({ body: oip(many), headers: { 'accept-encoding': `br, ${encoding}` } });
    assert.equal(said.headers['content-encoding'], encoding);
    assert.equal(Number(said.headers['content-length']), said.body.length);
    assert.ok(said.body.length < plain.body.length / 2);
    assert.equal(decode(said.body).toString(), plain.body.toString());
    assert.ok(said.headers['spillway-batch-id']);
  }
  const binary = { parameters: { binary_data_output: true } };
  const said = await ask({ body: oip(many, binary), headers: { 'accept-encoding': 'gzip' } });
  const at = Number(said.headers['inference-header-content-length']);
  assert.deepEqual(floats(gunzipSync(said.body).subarray(at)), many);
  const small = await ask({ body: oip([1]), headers: { 'accept-encoding': 'gzip' } });
  assert.equal(small.headers['content-encoding'], undefined);
});

test('the best classes instead of all scores', async () => {
  const outputs = [{ name: 'y', parameters: { classification: 2 } }];
  const said = json(await ask({ body: oip([1, 9, 4], { outputs }) }));
  assert.deepEqual(said.outputs, [{ name: 'y', datatype: 'BYTES', shape: [1, 2], data: ['9.000000:1', '4.000000:2'] }]);
  const unknown = await ask({ body: oip([1], { outputs: [{ name: 'q' }] }) });
  assert.deepEqual([unknown.status, unknown.headers['spillway-error']], [400, 'INVALID_REQUEST']);
});

test('the receipt is in the headers, nowhere, or in the body too', async () => {
  const usual = await ask({ body: oip([1]) });
  assert.equal(usual.headers['spillway-rung'], 'run');
  assert.equal(json(usual).parameters, undefined);
  const none = await ask({ body: oip([1]), headers: { 'spillway-receipt': 'none' } });
  assert.deepEqual(
    Object.keys(none.headers).filter((name) => name.startsWith('spillway-')),
    [],
  );
  assert.ok(none.headers['x-request-id']);
  for (const how of [
    { body: oip([1], { parameters: { spillway_receipt: 'body' } }) },
    { body: oip([1]), headers: { 'spillway-receipt': 'body' } },
  ]) {
    const said = await ask(how);
    const parameters = json(said).parameters ?? {};
    assert.equal(parameters['spillway_batch_id'], said.headers['spillway-batch-id']);
    assert.equal(parameters['x_request_id'], said.headers['x-request-id']);
  }
  const wrong = await ask({ body: oip([1]), headers: { 'spillway-receipt': 'all' } });
  assert.match(String(json(wrong).error), /spillway-receipt: expected none, headers or body/);
});

test('the plain door: inputs as they are, outputs by name, errors with their code', async () => {
  const path = '/v1/models/echo:predict';
  assert.deepEqual(json(await ask({ path, body: '{"inputs":[1,2]}' })), { outputs: { y: [1, 2] } });
  const rows = await ask({ path: '/v1/models/echo/versions/1:predict', body: '{"inputs":[[1,2],[3,4]]}' });
  assert.deepEqual(json(rows), { outputs: [{ y: [1, 2] }, { y: [3, 4] }] });
  assert.equal(rows.headers['spillway-model-version'], '1');
  const receipt = await ask({ path, body: '{"inputs":[1]}', headers: { 'spillway-receipt': 'body' } });
  assert.equal(json(receipt).spillway?.['spillway_rung'], 'run');
  const wrong = await ask({ path, body: '{"text":"a"}' });
  assert.deepEqual([wrong.status, wrong.headers['spillway-error']], [400, 'INVALID_REQUEST']);
  const { error } = json(wrong) as { error: Record<string, unknown> };
  assert.deepEqual([error['code'], error['reason']], ['INVALID_REQUEST', null]);
  assert.match(String(error['message']), /"echo" does not take one text/);
  const unknown = await ask({ path: '/v1/models/nobody:predict', body: '{"inputs":1}' });
  assert.deepEqual([unknown.status, (json(unknown).error as { code: string }).code], [404, 'MODEL_NOT_FOUND']);
  const method = await ask({ path, method: 'GET' });
  assert.deepEqual([method.status, method.headers.allow], [405, 'POST']);
});

test('a path that is not served is 404, a method that its path does not take 405 with those that it takes', async () => {
  for (const [method, path, status, allow] of [
    ['GET', '/v2/models/echo/infer', 405, 'POST'],
    ['POST', '/v2/models/echo', 405, 'GET, HEAD'],
    ['DELETE', '/v2/models/echo/ready?x=1', 405, 'GET, HEAD'],
    ['GET', '/v2/repository/index', 405, 'POST'],
    ['PUT', '/v2', 405, 'GET, HEAD'],
    ['POST', '/v2/nothing', 404, undefined],
    ['GET', '/v2/models/echo/trace/setting', 404, undefined],
    ['GET', '/', 404, undefined],
  ] as const) {
    const said = await ask({ method, path, body: method === 'GET' ? '' : '{not json' });
    assert.deepEqual([said.status, said.headers.allow], [status, allow], `${method} ${path}`);
    assert.equal(typeof json(said).error, 'string');
    assert.equal(said.headers['spillway-error'], status === 404 ? 'NOT_FOUND' : 'METHOD_NOT_ALLOWED');
  }
});

test('a name is decoded once', async () => {
  for (const [path, status] of [
    ['/v2/models/%65cho', 200],
    ['/v2/models/%2565cho', 404],
    ['/v2/models/%2565cho/ready', 404],
  ] as const) {
    assert.equal((await ask({ method: 'GET', path })).status, status, path);
  }
  assert.equal((await ask({ path: '/v2/models/%65cho/infer', body: oip([1]) })).status, 200);
  assert.equal((await ask({ path: '/v2/models/%2565cho/infer', body: oip([1]) })).status, 404);
});

test('generate takes tensors by name and answers with them, in one piece or as one event', async () => {
  const body = '{"id":"a","x":[1.5,2],"parameters":{"priority":3}}';
  const answer = { id: 'a', model_name: 'echo', model_version: '1', y: [1.5, 2] };
  const said = await ask({ path: '/v2/models/echo/generate', body });
  assert.deepEqual([said.status, said.headers['content-type'], json(said)], [200, 'application/json', answer]);
  assert.deepEqual([said.headers['spillway-class'], said.headers['spillway-rung']], ['bulk', 'run']);
  const streamed = await ask({ path: '/v2/models/echo/generate_stream', body });
  assert.equal(streamed.headers['content-type'], 'text/event-stream; charset=utf-8');
  assert.equal(streamed.body.toString(), `data: ${JSON.stringify(answer)}\n\n`);
});

test('what generate cannot do has a status and plain JSON, also where a stream was asked for', async () => {
  for (const path of ['/v2/models/echo/generate', '/v2/models/echo/generate_stream']) {
    for (const [body, status, code] of [
      ['{"z":1}', 400, 'INVALID_REQUEST'],
      ['{"x":[1],"parameters":{"timeout":1}}', 504, 'DEADLINE_EXCEEDED'],
      ['{not json', 400, 'INVALID_REQUEST'],
    ] as const) {
      const said = await ask({ path, body });
      assert.deepEqual([said.status, said.headers['spillway-error']], [status, code], `${path} ${body}`);
      assert.equal(said.headers['content-type'], 'application/json');
      assert.equal(typeof json(said).error, 'string');
    }
    assert.equal((await ask({ path: path.replace('echo', 'nobody'), body: '{}' })).status, 404);
    assert.equal((await ask({ method: 'GET', path })).headers.allow, 'POST');
  }
});

test('the document has every route that is served, and the page runs no script but its own', async () => {
  const document = await ask({ method: 'GET', path: '/openapi.json' });
  const { paths } = json(document) as unknown as { paths: Record<string, object> };
  for (const [path, item] of Object.entries(paths)) {
    const filled = path.replace('{model}', 'echo').replace('{version}', '1').replace('{job}', 'none');
    for (const method of ['GET', 'POST', 'DELETE']) {
      const said = await ask({ method, path: filled, body: method === 'GET' ? '' : '{}' });
      assert.equal(said.body.includes('no such path'), false, `${method} ${path}`);
      assert.equal(said.status === 405, !(method.toLowerCase() in item), `${method} ${path}`);
    }
  }
  const page = await ask({ method: 'GET', path: '/docs' });
  assert.match(String(page.headers['content-security-policy']), /^default-src 'none'; script-src 'sha256-[^']+'/);
  assert.equal(page.body.toString().match(/(src|href)="https?:/), null);
});
