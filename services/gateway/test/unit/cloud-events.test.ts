import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CloudEvent,
  decodeAttribute,
  type HeaderedMessage,
  isBareEvent,
  modeByHeaders,
  readCloudEvent,
} from '../../src/core/cloud-events.ts';
import { readTimestamp } from '../../src/core/timestamp.ts';

const REQUIRED = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/orders', 'ce-type': 'order.placed' };
const message = (headers: Record<string, string>, payload = '{"inputs":[]}'): HeaderedMessage => ({
  payload: Buffer.from(payload),
  header: (name) => headers[name],
});
const binary = (headers: Record<string, string> = {}) => readCloudEvent(message({ ...REQUIRED, ...headers }), 'binary');
const JSON_EVENT = { specversion: '1.0', id: '1', source: '/orders', type: 'order.placed', data: { inputs: [] } };
const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const structured = (over: object | string, headers = STRUCTURED): CloudEvent =>
  readCloudEvent(
    message(headers, typeof over === 'string' ? over : JSON.stringify({ ...JSON_EVENT, ...over })),
    'structured',
  );
const refused = (read: () => unknown, text: RegExp, code = 'INVALID_REQUEST') =>
  assert.throws(read, (error: { code: string; message: string }) => {
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  });

test('the mode is told by the content type, then by the version header; all else is plain', () => {
  assert.equal(modeByHeaders(message({ 'content-type': 'Application/CloudEvents+JSON; charset=utf-8' })), 'structured');
  assert.equal(modeByHeaders(message(REQUIRED)), 'binary');
  assert.equal(modeByHeaders(message({ 'content-type': 'application/json', 'ce-id': '1' })), undefined);
});

test('an event in JSON is known without its content type, and an infer request is none', () => {
  const isBare = (value: unknown) =>
    isBareEvent(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
  assert.equal(isBare(JSON_EVENT), true);
  assert.equal(isBare({ inputs: [{ name: 'specversion' }] }), false);
  assert.equal(isBare({ specversion: '1.0', inputs: [] }), false);
  for (const other of ['', '{', 'null', '["specversion"]', '{"specversion":'])
    assert.equal(isBare(other), false, other);
  assert.equal(structured({}, {} as never).id, '1');
});

test('a binary event has its attributes in headers and its data as payload', () => {
  const event = binary({
    'ce-datacontenttype': 'application/json',
    'ce-correlationid': 'a%20b',
    'ce-expirytime': '2026-01-31T12:00:00.5+01:00',
    'ce-spillwayclass': 'bulk',
    'ce-spillwayversion': '2',
    'ce-traceparent': '00-x',
    'ce-tracestate': 'v=a%20b',
    'ce-time': '2026-01-31t12:00:00z',
    'ce-unknown': '%FF',
  });
  assert.deepEqual(
    { ...event, data: String(event.data) },
    {
      mode: 'binary',
      id: '1',
      source: '/orders',
      data: '{"inputs":[]}',
      correlationId: 'a b',
      traceparent: '00-x',
      tracestate: 'v=a b',
      expiresAtMs: Date.UTC(2026, 0, 31, 11, 0, 0, 500),
      trafficClass: 'bulk',
      version: '2',
    },
  );
});

test('a trace that cannot be read fails no event', () => {
  const { traceparent, tracestate } = binary({ 'ce-traceparent': '%FF', 'ce-tracestate': '%FF' });
  assert.deepEqual([traceparent, tracestate], [undefined, undefined]);
  assert.equal(structured({ traceparent: 1.5 }).traceparent, undefined);
});

test('header values: quotes of older senders, one decoding, needless and lower-case escapes, UTF-8', () => {
  const cases: [string, string][] = [
    ['plain', 'plain'],
    ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['Euro%20%e2%82%ac', 'Euro €'],
    ['%61%2562', 'a%62'],
    ['"a \\"b\\" %20c"', 'a "b"  c'],
    ['100%', '100%'],
    ['50%zz', '50%zz'],
    ['ü%20€', 'ü €'],
    ['"open', '"open'],
  ];
  for (const [value, decoded] of cases) assert.equal(decodeAttribute(value, 'ce-id'), decoded, value);
  for (const value of ['%FF', '%C3%28', '%ED%A0%80', '%E2%82'])
    refused(() => decodeAttribute(value, 'ce-id'), /^ce-id: /);
});

test('a missing, empty or impossible attribute is named', () => {
  for (const name of ['id', 'source', 'type']) {
    refused(
      () => readCloudEvent(message({ ...REQUIRED, [`ce-${name}`]: undefined as never }), 'binary'),
      new RegExp(`^${name}: `),
    );
    refused(() => structured({ [name]: null }), new RegExp(`^${name}: `));
    refused(() => structured({ [name]: '' }), new RegExp(`^${name}: `));
    refused(() => structured({ [name]: { a: 1 } }), new RegExp(`^${name}: `));
  }
  refused(() => structured({ specversion: undefined }), /^specversion: /);
  refused(() => binary({ 'ce-specversion': '0.3' }), /^specversion: expected 1.0, got 0.3/);
  refused(() => binary({ 'ce-time': 'yesterday' }), /^time: /);
  refused(() => binary({ 'ce-expirytime': '2026-02-30T00:00:00Z' }), /^expirytime: /);
  refused(() => binary({ 'ce-id': 'a%0Ab' }), /^id: expected text without control characters/);
  refused(() => structured({ source: '\ud800' }), /^source: /);
  refused(() => binary({ 'ce-source': 'x'.repeat(513) }), /^source: expected at most 512/);
});

test('a structured event has its data as JSON, as text or as base64', () => {
  assert.equal(String(structured({}).data), '{"inputs":[]}');
  assert.equal(String(structured({ data: '{"inputs":[1]}', datacontenttype: 'text/plain' }).data), '{"inputs":[1]}');
  const bytes = Buffer.from([0, 255, 1]);
  assert.deepEqual(structured({ data: undefined, data_base64: bytes.toString('base64') }).data, bytes);
  refused(() => structured({ data: null }), /^data: /);
  refused(() => structured({ data_base64: 'AA==' }), /^data_base64: expected no data/);
  refused(() => structured({ data: undefined, data_base64: 'A' }), /^data_base64: expected base64/);
  refused(() => structured('{"id":'), /^payload: /);
  refused(() => structured('[]'), /^payload: expected one CloudEvent/);
});

test('integers beyond 2⁵³ keep their digits through a structured event', () => {
  const event = JSON.stringify(JSON_EVENT).replace(
    '{"inputs":[]}',
    '{"inputs":[9007199254740993,-0.5,"1234567890123456789"]}',
  );
  assert.equal(String(structured(event).data), '{"inputs":[9007199254740993,-0.5,"1234567890123456789"]}');
});

test('an extension may be an integer or a truth value', () => {
  assert.equal(structured({ spillwayversion: 2 }).version, '2');
  assert.equal(structured({ correlationid: true }).correlationId, 'true');
});

test('other formats and batches are not served', () => {
  for (const type of ['application/cloudevents+avro', 'application/cloudevents-batch+json']) {
    refused(() => structured({}, { 'content-type': type }), /^content-type: /, 'UNSUPPORTED');
  }
});

test('times are those of RFC 3339, with a zone', () => {
  assert.equal(readTimestamp('2024-02-29T23:59:60Z'), Date.UTC(2024, 2, 1));
  assert.equal(readTimestamp('2026-01-01T00:00:00-05:30'), Date.UTC(2026, 0, 1, 5, 30));
  for (const text of [
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2025-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
  ]) {
    assert.equal(readTimestamp(text), undefined, text);
  }
});
