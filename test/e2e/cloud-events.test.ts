import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Mesh } from '@spillway/testing/mesh';
import { CloudEvent, HTTP } from 'cloudevents';
import { casesOf, differenceOf, type OipTensor, oipRequest } from '../support/cases.ts';
import { connectPublisher, type StoredResult } from '../support/events.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({ serves: ['mlp', 'credit-risk'] });
});
after(() => mesh?.[Symbol.asyncDispose]());

const wanted = casesOf('mlp')[0]!;
const event = (data: object, over: object = {}) =>
  new CloudEvent({
    source: '/orders',
    type: 'com.example.order.placed',
    datacontenttype: 'application/json',
    data,
    ...over,
  });

/** As the CNCF's own SDK writes an event, with its HTTP binding's content type under the name that it has on NATS. */
function onNats({ headers, body }: ReturnType<typeof HTTP.binary>) {
  const { 'content-type': contentType, ...attributes } = headers as Record<string, string>;
  const isStructured = contentType?.startsWith('application/cloudevents') === true;
  const named = isStructured ? { 'Content-Type': contentType } : { 'ce-datacontenttype': contentType ?? '' };
  return { headers: { ...attributes, ...named }, payload: String(body) };
}

/** The result as that SDK reads it. */
function readBack(result: StoredResult): CloudEvent<Record<string, unknown>> {
  const attributes = ['id', 'source', 'specversion', 'type', 'time', 'causationid', 'correlationid', 'tracestate'];
  const headers: Record<string, string> = {};
  for (const name of attributes)
    if (result.header(`ce-${name}`) !== '') headers[`ce-${name}`] = result.header(`ce-${name}`);
  headers['content-type'] = result.header('Content-Type') || result.header('ce-datacontenttype');
  return HTTP.toEvent({ headers, body: JSON.stringify(result.body) }) as CloudEvent<Record<string, unknown>>;
}

for (const mode of ['binary', 'structured'] as const) {
  test(`a CloudEvent of the CNCF's SDK in ${mode} mode is answered by one that the SDK reads`, async () => {
    await using publisher = await connectPublisher(mesh.nats.url, `ce-${mode}`);
    const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'rojo=1,congo=t61' };
    const sent = event(oipRequest(wanted), { id: `order-${mode}`, correlationid: 'basket-7', ...trace });
    const sentMs = Date.now();
    const { headers, payload } = onNats(HTTP[mode](sent));
    await publisher.publish('mlp', payload, headers);
    await publisher.publish('mlp', payload, headers);
    await publisher.publish('mlp', payload, { ...headers, 'spillway-job': 'last' });
    await publisher.until(() => publisher.results.length === 2);
    const result = publisher.results.find((one) => publisher.jobOf(one) !== 'last');
    assert.ok(
      publisher.results.some((one) => publisher.jobOf(one) === 'last'),
      'equal source and id are one event',
    );
    const answer = readBack(result!);
    assert.equal(answer.validate(), true);
    assert.deepEqual(
      [answer.type, answer.source, answer.id, answer['causationid'], answer['correlationid'], answer['tracestate']],
      [
        'spillway.infer.completed.v1',
        '/spillway/mlp',
        publisher.jobOf(result!),
        sent.id,
        'basket-7',
        'rojo=1,congo=t61',
      ],
    );
    const madeMs = Date.parse(answer.time ?? '');
    assert.ok(madeMs >= sentMs && madeMs <= Date.now(), `${answer.time}`);
    assert.equal(result?.header('traceparent').slice(3, 35), 'a'.repeat(32));
    assert.equal(differenceOf(wanted, answer.data?.['outputs'] as OipTensor[]), undefined);
  });
}

test('a CloudEvent that fails is answered by one that says so, and a result has a receipt', async () => {
  await using publisher = await connectPublisher(mesh.nats.url, 'ce-bad');
  const { headers, payload } = onNats(HTTP.structured(event({ inputs: [] })));
  await publisher.publish('mlp', payload, headers);
  await publisher.until(() => publisher.results.length === 1);
  const failed = readBack(publisher.results[0]!);
  assert.equal(failed.type, 'spillway.infer.failed.v1');
  assert.deepEqual(Object.keys(failed.data?.['error'] ?? {}), ['code', 'message', 'reason']);
  assert.equal(publisher.results[0]?.header('spillway-error'), 'INVALID_REQUEST');
  await publisher.publish('mlp', JSON.stringify(oipRequest(wanted)), { 'x-request-id': 'with-receipt' });
  await publisher.until(() => publisher.results.length === 2);
  const { header } = publisher.results[1]!;
  assert.equal(header('x-request-id'), 'with-receipt');
  assert.deepEqual(
    [header('spillway-class'), header('spillway-cache'), header('spillway-batch-size')],
    ['standard', 'bypass', '1'],
  );
  assert.match(header('spillway-queue-ms'), /^\d+\.\d{3}$/);
});

test('a result is published once more on the inbox of its publisher, with the outputs that were asked for', async () => {
  await using publisher = await connectPublisher(mesh.nats.url, 'ce-reply');
  const inbox = publisher.listen();
  const request = oipRequest(casesOf('credit-risk')[0]!) as object;
  const outputs = [{ name: 'probability' }];
  await publisher.publish('credit-risk', JSON.stringify({ ...request, outputs }), {
    'spillway-reply-to': inbox.subject,
  });
  const reply = await inbox.next();
  await publisher.until(() => publisher.results.length === 1);
  assert.deepEqual(reply.body, publisher.results[0]?.body);
  assert.deepEqual(
    (reply.body['outputs'] as OipTensor[]).map(({ name }) => name),
    ['probability'],
  );
});
