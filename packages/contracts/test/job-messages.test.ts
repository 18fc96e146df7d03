import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { encodeAttribute } from '../src/cloud-event-result.ts';
import { answerMessage, deadJob, deadLetterMessage, errorMessage, jobKey } from '../src/job-messages.ts';
import type { Job } from '../src/messages.ts';
import { isReplySubject, tenantOfEvent } from '../src/subjects.ts';

const job: Job = {
  tenant: 'acme',
  job: 'j1',
  ackSubject: '',
  originSubject: 'spillway.v1.events.acme.infer.mlp',
  traceparent: '',
};
const made = { model: 'mlp', madeAtMs: Date.UTC(2026, 0, 31, 12, 0, 0, 7) };
const json = Buffer.from('{"outputs":[]}');
const bad = new SpillwayError('INVALID_REQUEST', 'inputs: expected an array\nof tensors ≥ 1');

test('a plain result is the answer, with its receipt as headers', () => {
  const message = answerMessage(job, made, json, { 'spillway-rung': 'run' });
  assert.deepEqual(message, {
    subject: 'spillway.v1.results.acme.j1',
    msgId: 'acme.j1',
    payload: json,
    headers: { 'spillway-rung': 'run' },
    replyTo: '',
  });
});

test('an error result says code, message and reason in its body, and in headers of one line', () => {
  const { payload, headers } = errorMessage({ ...job, requestId: 'r-1' }, made, bad);
  assert.deepEqual(JSON.parse(String(payload)), {
    error: { code: 'INVALID_REQUEST', message: bad.message, reason: '' },
  });
  assert.deepEqual(headers, {
    'spillway-error': 'INVALID_REQUEST',
    'x-request-id': 'r-1',
    'Nats-Service-Error': 'inputs: expected an array of tensors ≥ 1',
    'Nats-Service-Error-Code': '400',
  });
});

test('a message that quotes megabytes is cut', () => {
  const long = new SpillwayError('INVALID_REQUEST', `input "${'x'.repeat(4_000_000)}"`);
  const { payload, headers } = errorMessage(job, { ...made, model: '' }, long);
  assert.ok(payload.byteLength < 2_048, `${payload.byteLength}`);
  assert.ok((headers['Nats-Service-Error'] as string).length < 2_048);
});

test('the result of a binary CloudEvent is one: attributes are percent-encoded headers', () => {
  const event = { mode: 'binary', id: 'order "7" %ü', correlationId: 'c 1' };
  const { payload, headers } = answerMessage({ ...job, event }, made, json, {});
  assert.equal(payload, json);
  assert.deepEqual(headers, {
    'ce-specversion': '1.0',
    'ce-id': 'j1',
    'ce-source': '/spillway/mlp',
    'ce-type': 'spillway.infer.completed.v1',
    'ce-time': '2026-01-31T12:00:00.007Z',
    'ce-datacontenttype': 'application/json',
    'ce-causationid': 'order%20%227%22%20%25%C3%BC',
    'ce-correlationid': 'c%201',
  });
  assert.equal(encodeAttribute('\u20ac\n~!'), '%E2%82%AC%0A~!');
});

test('the result of a structured CloudEvent is a JSON event, also if it failed', () => {
  const event = { mode: 'structured', id: 'e"1', correlationId: '' };
  const { payload, headers } = errorMessage({ ...job, event }, made, bad);
  assert.equal(headers['Content-Type'], 'application/cloudevents+json');
  assert.deepEqual(JSON.parse(String(payload)), {
    specversion: '1.0',
    id: 'j1',
    source: '/spillway/mlp',
    type: 'spillway.infer.failed.v1',
    time: '2026-01-31T12:00:00.007Z',
    datacontenttype: 'application/json',
    causationid: 'e"1',
    data: { error: { code: 'INVALID_REQUEST', message: bad.message, reason: '' } },
  });
});

test('a result carries the trace that its job came with, as headers and as attributes', () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  const traced: Job = { ...job, traceparent, tracestate: 'vendor=1,other=x y' };
  const plain = answerMessage(traced, made, json, {}).headers;
  assert.deepEqual(plain, { traceparent, tracestate: 'vendor=1,other=x y' });
  const binary = answerMessage({ ...traced, event: { mode: 'binary', id: 'e', correlationId: '' } }, made, json, {});
  assert.deepEqual(
    [binary.headers['ce-traceparent'], binary.headers['ce-tracestate']],
    [traceparent, 'vendor=1,other=x%20y'],
  );
  const event = { mode: 'structured', id: 'e', correlationId: '' };
  const { payload } = answerMessage({ ...traced, tracestate: '', event }, made, json, {});
  const members = JSON.parse(String(payload)) as Record<string, unknown>;
  assert.deepEqual([members['traceparent'], members['tracestate']], [traceparent, undefined]);
});

test('a replay is a new life of a job: JetStream does not take it for the first one', () => {
  assert.equal(jobKey(job), 'acme.j1');
  assert.equal(jobKey({ ...job, replay: 9 }), 'acme.j1.9');
});

test('a dead letter holds what was asked, with why, whence and how often', () => {
  const frame = Buffer.from('frame');
  const letter = deadLetterMessage(deadJob({ ...job, originSeq: 7 }, bad, frame, 5), 1_000_000);
  assert.deepEqual([letter.subject, letter.msgId], ['spillway.v1.dlq.INVALID_REQUEST', 'dlq.acme.j1']);
  assert.deepEqual(Buffer.from(letter.payload), frame);
  assert.deepEqual(letter.headers, {
    'spillway-job': 'j1',
    'spillway-letter': 'job',
    'spillway-error': 'INVALID_REQUEST',
    'spillway-reason': '',
    'spillway-origin-subject': job.originSubject,
    'spillway-origin-seq': '7',
    'spillway-deliveries': '5',
    'Nats-Service-Error': 'inputs: expected an array of tensors ≥ 1',
  });
});

test('a dead letter that is gone or does not fit says that it cannot be replayed', () => {
  const letterOf = (payload: Buffer | undefined, headers = {}) =>
    deadLetterMessage({ ...deadJob(job, bad, payload, 1), headers }, 16 * 1_024 + 5);
  assert.equal(letterOf(undefined).headers['spillway-letter'], 'none');
  const large = letterOf(Buffer.from('larger'));
  assert.deepEqual([large.headers['spillway-letter'], large.payload.byteLength], ['cut', 5]);
  const headers = { 'ce-id': 'x'.repeat(9_000) };
  assert.equal(letterOf(Buffer.from('fits'), headers).headers['spillway-letter'], 'cut');
});

test('a result is published once more only to an inbox or below the own results', () => {
  const allowed = ['_INBOX.abc.1', 'spillway.v1.results.acme.replies', 'spillway.v1.results.acme.a.b'];
  for (const subject of allowed) assert.ok(isReplySubject(subject, 'acme'), subject);
  const refused = [
    ...['', '_INBOX', '_INBOX.', '_INBOX.*', '_INBOX.a.>', '_INBOX.a..b', '_INBOX.a b', '_INBOX.ä', '_INBOX_gateway.x'],
    ...['spillway.v1.results.other.x', 'spillway.v1.results.acme', 'spillway.v1.work.vip.mlp', '$JS.API.STREAM.INFO.X'],
    `_INBOX.${'x'.repeat(300)}`,
  ];
  for (const subject of refused) assert.ok(!isReplySubject(subject, 'acme'), subject);
});

test('the tenant of an event is known whatever else its subject says', () => {
  assert.equal(tenantOfEvent('spillway.v1.events.acme'), 'acme');
  assert.equal(tenantOfEvent('spillway.v1.events.acme.infer.$$'), 'acme');
  assert.equal(tenantOfEvent('spillway.v1.events.$.infer.mlp'), undefined);
});
